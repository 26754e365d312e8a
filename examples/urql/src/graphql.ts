// Documents that are typed as they are written: gql.tada reads ../schema.graphql.
import { initGraphQLTada } from 'gql.tada'
import type { introspection } from './generated/schema.d.ts'

export const graphql = initGraphQLTada<{
  introspection: introspection
  scalars: { DateTime: string }
  disableMasking: true
}>()
