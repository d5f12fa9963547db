// SPDX-License-Identifier: Apache-2.0
// What an operator does on the page of a real HQ, once through: sign in, make a meter prepaid, sell, see it arrive, lock
// and unlock, look at the books. usage: operator_live.mjs URL TOKEN METER NODE-MAC CHANNEL. Exit codes as the others'.
// MM_SHOTS names a directory for a picture of each step.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DESKTOP, launchBrowser, missing, runCheck, WAIT_MS, widthFits } from './browser.mjs';

const [, , url, token, meter, node, channel] = process.argv;

const until = (page, selector, wanted) =>
    page.waitForFunction(
        ([at, pattern]) => pattern.test(document.querySelector(at)?.textContent ?? ''),
        [selector, wanted],
        { timeout: WAIT_MS },
    );

async function show(page, name) {
    assert.ok(await widthFits(page), `${name} fits the width`);
    if (process.env.MM_SHOTS) {
        await page.screenshot({ path: join(process.env.MM_SHOTS, `${name}.png`) });
    }
}

async function choose(page, field, text) {
    await page.fill(field, text);
    await page.waitForSelector('[role=option]');
    await page.press(field, 'Enter');
    await page.waitForSelector('[role=option]', { state: 'hidden' });
}

const go = (page, hash) =>
    page.evaluate((to) => {
        location.hash = to;
    }, hash);

async function operate({ open }) {
    const page = await open('#/sign-in');
    await page.fill('#token', token);
    await page.press('#token', 'Enter');
    await page.waitForSelector('.account button');
    await go(page, '#/commands');
    await choose(page, '#target-meter', meter);
    await page.selectOption('#kind', 'mode');
    await show(page, 'compose');
    await page.press('form.compose .buttons button', 'Enter');
    await page.waitForSelector('dialog');
    await page.click('dialog .danger');
    await page.waitForSelector('p.success');
    await until(page, 'table.orders .progress-text', /1 done/);
    await show(page, 'commands');
    await go(page, '#/sell');
    await choose(page, '#sell-meter', meter);
    await page.fill('#sell-amount', '5');
    await page.waitForFunction(() => document.querySelector('.sentence').textContent.startsWith('Sells '));
    await page.press('form.compose .buttons button', 'Enter');
    await until(page, '.receipt', /5\D*kWh/);
    await show(page, 'receipt');
    await go(page, '#/sell');
    await until(page, 'table', /applied/);
    await show(page, 'sales');
    await go(page, `#/meter/${node}/${channel}`);
    await page.waitForSelector('.actions');
    await page.click('.actions button >> text=Lock');
    await page.click('dialog .danger');
    await until(page, '.supply', /locked by HQ/);
    await show(page, 'meter');
    await page.click('.actions button >> text=Unlock');
    await page.click('dialog .danger');
    await page.waitForFunction(() => document.querySelector('.supply')?.textContent.trim() === 'on');
    await go(page, '#/books');
    await until(page, '#app', /books balance/i);
    await show(page, 'books');
}

async function main() {
    const reason = missing();
    if (reason) {
        console.log(`skipped: ${reason}`);
        return 77;
    }
    const browser = await launchBrowser();
    try {
        return (await runCheck(browser, ['an operator on a live site', operate], url, { viewport: DESKTOP })) ? 0 : 1;
    } finally {
        await browser.close();
    }
}

process.exitCode = await main();
