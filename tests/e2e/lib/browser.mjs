// SPDX-License-Identifier: Apache-2.0
// A real browser for the tests of HQ's page: every check has pages of its own, and fails on an error of the page, on
// what the security policy refuses, and on a request to a stranger.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { VENDOR_FILES } from '../fake_hq.mjs';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const MODULES = process.env.MM_NODE_MODULES ?? join(REPOSITORY, 'node_modules');
const CHROMIUM = process.env.MM_CHROMIUM ?? '/usr/bin/chromium';
export const WAIT_MS = 30000;
export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 900 };

export const widthFits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

export async function launchBrowser() {
    const { chromium } = await import(pathToFileURL(join(MODULES, 'playwright-core/index.mjs')));
    return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Runs one check, [name, function, options], with `open` for its pages and what is in `more`. True: it passed. */
export async function runCheck(browser, [name, check, { expectsErrors = false } = {}], url, more) {
    const contexts = [];
    const problems = [];
    const dialogs = [];
    const open = async (hash, prepare = null, viewport = DESKTOP, base = url) => {
        const context = await browser.newContext({ viewport });
        contexts.push(context);
        const page = await context.newPage();
        page.setDefaultTimeout(WAIT_MS);
        page.on('pageerror', (error) => problems.push(error.message));
        page.on('dialog', (dialog) => {
            dialogs.push(dialog.message());
            dialog.dismiss();
        });
        page.on('console', (message) => {
            // An outage is logged by the browser itself; what the security policy refuses must never occur.
            if (message.type() === 'error' && !/ERR_|Failed to load resource/.test(message.text())) {
                problems.push(message.text());
            }
        });
        page.on('request', (request) => {
            if (!request.url().startsWith(base) && !request.url().startsWith('data:')) {
                problems.push(`request to a stranger: ${request.url()}`);
            }
        });
        if (prepare) {
            await prepare(page);
        }
        await page.goto(base + hash);
        return page;
    };
    try {
        await check({ open, dialogs, ...more });
        assert.deepEqual(expectsErrors ? [] : problems, []);
        console.log(`ok   ${name}`);
        return true;
    } catch (error) {
        console.log(`FAIL ${name}\n${error.stack}\n${problems.join('\n')}`);
        return false;
    } finally {
        await Promise.all(contexts.map(closeContext));
    }
}

// A page on a live site asks again and again: an answer that is being changed on its way would outlive its page.
async function closeContext(context) {
    await Promise.all(context.pages().map((page) => page.unrouteAll({ behavior: 'wait' })));
    await context.close();
}

/** Why this machine cannot run a browser, or null. */
export function missing() {
    if (!existsSync(CHROMIUM)) {
        return `no browser at ${CHROMIUM} (tools/install-packages check installs it, MM_CHROMIUM names another)`;
    }
    const needed = ['playwright-core/index.mjs', ...Object.values(VENDOR_FILES)];
    const absent = needed.find((file) => !existsSync(join(MODULES, file)));
    return absent ? `no ${join(MODULES, absent)} (tools/install-web-libraries check installs it)` : null;
}
