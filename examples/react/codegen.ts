import type { CodegenConfig } from '@graphql-codegen/cli'

export default {
  schema: '../schema.graphql', // what "parley schema" prints
  documents: ['src/**/*.ts', '!src/generated/**'],
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false }, // Apollo has its own: dataMasking
      config: { useTypeImports: true, scalars: { DateTime: 'string' }, strictScalars: true, enumsAsTypes: true },
    },
    'src/generated/possibleTypes.ts': { plugins: ['fragment-matcher'] },
  },
  silent: true,
} satisfies CodegenConfig
