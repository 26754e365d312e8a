export type { Details, Metadata, ParleyMessage } from './message.js'
export { ParleyTransport, type SendOptions, type TransportOptions } from './transport.js'
export type { Watched } from './watch.js'
