// The rules of graph/schema/*.graphql. An exception has its reason beside it.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import graphql from '@graphql-eslint/eslint-plugin'

const { configs, parser } = graphql

// schemaFiles are the files of a folder that are one schema: all but the one of the
// last release.
export const schemaFiles = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.graphql') && name !== 'released.graphql')
    .sort()
    .map((name) => join(folder, name))

// rulesFor is the configuration for a folder of schemaFiles.
export const rulesFor = (folder) => [
  {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: schemaFiles(folder) } } },
    rules: {
      ...configs['flat/schema-recommended'].rules,
      ...configs['flat/schema-relay'].rules,

      // Everything that a client can name is described.
      '@graphql-eslint/require-description': [
        'error',
        {
          types: true,
          rootField: true,
          DirectiveDefinition: true,
          EnumValueDefinition: true,
          FieldDefinition: true,
          InputValueDefinition: true, // arguments and input fields
        },
      ],
      '@graphql-eslint/description-style': ['error', { style: 'block' }],

      // The argument is called input, and its type as the mutation with Input behind it.
      '@graphql-eslint/input-name': ['error', { checkInputType: true, caseSensitiveInputType: false }],
      '@graphql-eslint/no-scalar-result-type-on-mutation': 'error',
      '@graphql-eslint/require-deprecation-date': 'error',

      // Connections have nodes beside edges, as GitHub's: a client that does not page
      // needs no cursors. Lists that cannot grow long, as models, are plain lists.
      '@graphql-eslint/relay-edge-types': [
        'error',
        { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
      ],

      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            suffixes: [
              'Payload',
              'Connection',
              'Edge', // the frame of what has an id
              'Snapshot',
              'Delta',
              'Added',
              'Created',
              'Updated',
              'Deleted',
              'Finished',
              'Ready', // events: they happen and are gone
            ],
            types: [
              'PageInfo', // the Relay specification gives it none
              'Parameters',
              'ResponseFormat',
              'ContextSettings',
              'ContextUse', // values of a conversation
              'MessageError',
              'Usage',
              'MessageContext',
              'Citation', // values of a message
              'Model', // has the name that the model server uses
              'Site', // there is one
              'SiteIssuer', // a value of it
            ],
          },
        },
      ],

      // Off, since it knows neither connections nor refusals: those are errors with a
      // code, so that payloads need no null. rules.test.mjs has the rule that we mean.
      '@graphql-eslint/require-nullable-result-in-root': 'off',
    },
  },
]

export default rulesFor(join(dirname(fileURLToPath(import.meta.url)), '../../graph/schema'))
