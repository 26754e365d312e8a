// Debian's Chromium, and what a test sees in it.
import { chromium } from 'playwright-core'
import { patience } from '../lib/parley.mjs'

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  })

/** A device of its own, whose page keeps what its console complains of. It ends with the test. */
export async function newPage(t, browser) {
  const context = await browser.newContext()
  t.after(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  page.faults = []
  page.on('console', (message) => {
    if (['warning', 'error'].includes(message.type())) page.faults.push(message.text())
  })
  page.on('pageerror', (error) => page.faults.push(`uncaught: ${error.message}`))
  return page
}
