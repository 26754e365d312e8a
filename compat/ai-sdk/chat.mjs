// The transport as it is written, and a chat without a framework.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AbstractChat } from 'ai'
import { build } from 'esbuild'

export const packages = join(dirname(fileURLToPath(import.meta.url)), '../../packages')

export const bundle = async (contents, options) => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: packages },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    ...options,
  })
  return outputFiles[0].text
}

export const own = `export * from './ai-sdk/src/index.ts';`
const both = `${own} export { Refused, session } from '@parley/client'`
const whole = await bundle(both, { alias: { '@parley/client': join(packages, 'client/src/index.ts') } })
export const { ParleyTransport, Refused, session } = await import(
  `data:text/javascript;base64,${Buffer.from(whole).toString('base64')}`
)

/** What Chat of React, Vue and Svelte is, without a framework. */
export class Chat extends AbstractChat {
  constructor({ messages = [], ...init }) {
    const state = {
      status: 'ready',
      messages,
      pushMessage: (message) => (state.messages = [...state.messages, message]),
      popMessage: () => (state.messages = state.messages.slice(0, -1)),
      replaceMessage: (index, message) => (state.messages = state.messages.with(index, structuredClone(message))),
      snapshot: structuredClone,
    }
    super({ state, ...init })
  }
}

export const texts = (chat) => chat.messages.map(({ parts }) => parts.map(({ text = '' }) => text).join('|'))
