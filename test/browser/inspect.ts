import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';

/** With MEMBRIDGE_SCREENSHOTS=1 the tests also take the pictures of the docs. */
export const pictures = process.env['MEMBRIDGE_SCREENSHOTS'] === '1';
const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'docs', 'screenshots');

/**
 * Runs axe on the shown page, in dark and in light, and takes pictures when requested.
 * @param pictured whether the docs show this view
 * @returns the broken rules, each with the elements that break it
 */
export async function inspect(page: Page, view: string, pictured: boolean): Promise<string[]> {
  const found: string[] = [];
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.locator(`html[data-mantine-color-scheme="${scheme}"]`).waitFor();
    if (pictures && pictured) {
      mkdirSync(folder, { recursive: true });
      // Colors fade from one scheme to the other; the picture must show the final ones.
      await page.screenshot({ path: join(folder, `${view}-${scheme}.png`), animations: 'disabled' });
    }
    // The page has no frames, so axe need not open another page to combine the results.
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    const broken = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
    found.push(...broken.map((rule) => `${view}, ${scheme}, ${rule}`));
  }
  return found;
}
