import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { findChromium } from '../../stack/tools.ts';

/** A browser and the pages that it opens; each is watched for errors until it is checked. */
export interface Visitor {
  /** Opens a page as a new visitor with no cookies and no settings. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>;
  /** Announces a line in the browser's console; an unannounced one fails the test. */
  expectProblem(pattern: RegExp): void;
  /** Closes all pages. @throws when one logged an unannounced error or warning, or an announced one is missing */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** How long the page may take to show what a test waits for, in milliseconds. */
const PATIENCE_MS = 30_000;

/**
 * Starts the machine's Chromium; the test fails where there is none and none can be installed.
 * @param hosts.loopback names that lead to 127.0.0.1 in this browser, but are not localhost to it
 */
export async function startVisitor(hosts: { loopback?: readonly string[] } = {}): Promise<Visitor> {
  const rules = (hosts.loopback ?? []).map((name) => `MAP ${name} 127.0.0.1`).join(', ');
  const profile = mkdtempSync(join(tmpdir(), 'membridge-chromium-'));
  const browser = await chromium.launch({
    executablePath: await findChromium((line) => process.stderr.write(`${line}\n`)),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      `--host-resolver-rules=${rules}`,
    ],
    env: { ...withoutUndefined(process.env), HOME: profile },
  });
  let contexts: BrowserContext[] = [];
  let problems: string[] = [];
  let expected: RegExp[] = [];

  return {
    open: async (url, options = {}) => {
      const context = await browser.newContext({
        viewport: { width: 1440, height: 900 },
        reducedMotion: 'reduce',
        ...options,
      });
      contexts.push(context);
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
      page.on('console', (message) => {
        const { url } = message.location();
        if (['error', 'warning'].includes(message.type())) problems.push(`${message.text()} (${url})`);
      });
      // The browser reports a violation even where a script swallows it.
      await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => {
          console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
        });
      });
      await page.goto(url);
      return page;
    },
    expectProblem: (pattern) => void expected.push(pattern),
    check: async () => {
      await Promise.all(contexts.map((context) => context.close()));
      const unannounced = problems.filter((text) => !expected.some((pattern) => pattern.test(text)));
      const absent = expected.filter((pattern) => !problems.some((text) => pattern.test(text)));
      [contexts, problems, expected] = [[], [], []];
      expect({ unannounced, absent }).toEqual({ unannounced: [], absent: [] });
    },
    close: async () => {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Waits until the element with a test id is visible and its text matches.
 * @throws Error with what the page shows instead
 */
export async function see(page: Page, testId: string, text: string | RegExp = ''): Promise<void> {
  const element = page.getByTestId(testId);
  try {
    await element.filter({ hasText: text, visible: true }).first().waitFor();
  } catch (cause) {
    const shown = await element.allInnerTexts();
    const rows = await page.getByTestId('members-table').allInnerTexts();
    const instead = shown.length === 0 ? 'it is not there' : `it shows ${JSON.stringify(shown)}`;
    throw new Error(`${testId} does not show ${String(text)}; ${instead}. ${rows.join('\n')}`, { cause });
  }
}

/** Clicks the element with a test id, once it is there and can be clicked. */
export async function click(page: Page, testId: string): Promise<void> {
  await page.getByTestId(testId).click();
}

/**
 * Sends a tab to the background or the front. A headless browser keeps all tabs visible, so this sends the event that
 * a real one would send.
 */
export async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

function withoutUndefined(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
