// The components in the README of packages/ai-sdk as pages, one a framework. window.chat is the chat that they make.
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import http from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { compile, compileModule } from 'svelte/compiler'
import { compileScript, parse } from 'vue/compiler-sfc'
import { packages } from './chat.mjs'

export const here = dirname(fileURLToPath(import.meta.url))

const readme = readFileSync(join(packages, 'ai-sdk/README.md'), 'utf8')
export const block = (language) => new RegExp('```' + language + '\\n([^]*?)```').exec(readme)[1]

const vue = (source) => compileScript(parse(source).descriptor, { id: 'talk', inlineTemplate: true }).content
const svelte = (source, options) => compile(source, { css: 'injected', ...options }).js.code

/** What the README has for each framework, how it is compiled, and how a page begins and ends it. */
const frameworks = {
  React: {
    language: 'tsx',
    loader: 'tsx',
    main: `import { createElement } from 'react'; import { createRoot } from 'react-dom/client'; import Talk from 'talk'
      const root = createRoot(document.body); root.render(createElement(Talk)); window.leave = () => root.unmount()`,
  },
  Vue: {
    language: 'vue',
    loader: 'ts',
    compile: vue,
    main: `import { createApp } from 'vue'; import Talk from 'talk'
      const app = createApp(Talk); app.mount(document.body); window.leave = () => app.unmount()`,
  },
  Svelte: {
    language: 'svelte',
    loader: 'js',
    compile: svelte,
    main: `import { mount, unmount } from 'svelte'; import Talk from 'talk'
      const app = mount(Talk, { target: document.body }); window.leave = () => unmount(app)`,
  },
}

/** The other ways that the README names. */
frameworks['React, useChat'] = {
  ...frameworks.React,
  compile: (source) =>
    source
      .replace(/const chat = .*/, 'const loaded = await transport.load()')
      .replace('useChat({ chat })', '(globalThis.chat = useChat({ transport, messages: loaded, resume: true }))')
      .replace('transport.watch(chat)', '() => transport.close()'),
}
frameworks['Vue, useChat'] = {
  ...frameworks.Vue,
  compile: (source) =>
    vue(
      source
        .replace('import { Chat }', 'import { useChat }')
        .replace('import { onUnmounted', 'import { reactive, onUnmounted')
        .replace('new Chat({ transport })', 'reactive(useChat({ transport }))'),
    ),
}

const plugin = ({ language, loader, compile = (source) => source }, url) => ({
  name: 'readme',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^talk$|^\.\/transport$/ }, ({ path }) => ({ path, namespace: 'readme' }))
    onLoad({ filter: /talk/, namespace: 'readme' }, () => {
      const source = block(language).replace('const chat = ', '$&globalThis.chat = ')
      return { contents: compile(source), loader, resolveDir: here }
    })
    onLoad({ filter: /transport/, namespace: 'readme' }, () => {
      const source = block('ts').replace("'/graphql'", `'${url}/graphql'`)
      return { contents: `${source}; Object.assign(window, { session, transport })`, loader: 'ts', resolveDir: here }
    })
    // The library of Svelte has runes in it.
    onLoad({ filter: /\.svelte\.js$/ }, ({ path }) => ({
      contents: compileModule(readFileSync(path, 'utf8'), { filename: path }).js.code,
    }))
  },
})

async function bundle(framework, url) {
  const { outputFiles } = await build({
    stdin: { contents: framework.main, resolveDir: here },
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    conditions: ['svelte', 'browser', 'development'],
    nodePaths: [join(here, 'node_modules')],
    define: {
      'process.env.NODE_ENV': '"development"',
      __VUE_OPTIONS_API__: 'true',
      __VUE_PROD_DEVTOOLS__: 'false',
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
    },
    alias: {
      '@parley/client': join(packages, 'client/src/index.ts'),
      '@parley/ai-sdk': join(packages, 'ai-sdk/src/index.ts'),
    },
    plugins: [plugin(framework, url)],
  })
  return outputFiles[0].text
}

/** Serves a page for each framework, at /React and so on, whose session is one of the server at url. */
export async function servePages(url) {
  const scripts = Object.fromEntries(
    await Promise.all(Object.entries(frameworks).map(async ([name, it]) => [`/${name}.js`, await bundle(it, url)])),
  )
  const server = http.createServer((request, response) => {
    const path = decodeURIComponent(request.url)
    const script = scripts[path]
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html')
    const page = `<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="${path}.js"></script>`
    response.end(script ?? page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
