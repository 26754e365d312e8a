import { reducing, scenarios } from './scenarios.mjs'

scenarios('graphql-ws and fetch', reducing('plain/follow.js'))
