// What a test does with a page in a browser, and asks of it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'

const axe = await readFile(join(import.meta.dirname, '../../node_modules/axe-core/axe.min.js'), 'utf8')

/** What TikTok asks, answered. */
export async function allow(page: Page, person: string, declined: string[] = []): Promise<void> {
  await page.locator(`input[name=person][value="${person}"]`).check()
  for (const scope of declined) await page.locator(`input[name=allow][value="${scope}"]`).uncheck()
  await page.getByRole('button', { name: 'Authorize' }).click()
}

/** What axe has against the page: rule and place. */
export async function findings(page: Page): Promise<string[]> {
  return (await offences(page)).map(({ rule, place }) => `${rule}: ${place}`)
}

export async function offences(page: Page): Promise<{ rule: string; impact: string; place: string }[]> {
  await page.evaluate(axe)
  const found = (await page.evaluate(`axe.run({ resultTypes: ['violations'] })`)) as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[]
  }
  return found.violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html }) => ({ rule: id, impact, place: html.slice(0, 160) })),
  )
}

/** @returns by how many pixels the page is wider than its window */
export async function tooWide(page: Page): Promise<number> {
  return page.locator('html').evaluate((element) => element.scrollWidth - element.clientWidth)
}
