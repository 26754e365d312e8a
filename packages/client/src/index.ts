export { Refused } from './refused.js'
export { session } from './session.js'
export { cookieStore, localStorageStore, memoryStore } from './stores.js'
export type * from './types.js'
