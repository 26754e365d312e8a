import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: '../../graph/schema/!(released).graphql',
  documents: 'src/api/documents/*.graphql',
  emitLegacyCommonJSImports: false,
  generates: {
    'src/api/generated/documents.ts': {
      plugins: ['typescript-operations', './documents.plugin.mjs'],
      config: {
        scalars: { DateTime: 'string', ID: 'string' },
        enumsAsTypes: true,
        futureProofEnums: true,
        skipTypename: false,
        nonOptionalTypename: true,
        useTypeImports: true,
        inlineFragmentTypes: 'inline',
      },
    },
  },
};

export default config;
