// SPDX-License-Identifier: Apache-2.0
// What an installer does on the page of a real node, in a browser of a phone's size. Says what it has done, a word per
// line, and waits for a word on standard input where somebody else has to act. MM_SHOTS names a directory for pictures.
// usage: commission_live.mjs URL CODE

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { launchBrowser, missing, runCheck, WAIT_MS, widthFits } from './browser.mjs';

const [, , url, code] = process.argv;
const PHONE = { width: 360, height: 740 };
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

const say = (word) => console.log(`STEP ${word}`);
const hear = async () => (await lines.next()).value;
const untilStep = (page, name) => page.waitForSelector(`#${name}-step`, { state: 'visible' });
const untilText = (page, selector, wanted) =>
    page.waitForFunction(
        ([at, pattern]) => pattern.test(document.querySelector(at)?.textContent ?? ''),
        [selector, wanted],
        { timeout: WAIT_MS },
    );

async function shot(page, name) {
    assert.ok(await widthFits(page), `${name} fits the width`);
    if (process.env.MM_SHOTS) {
        await page.screenshot({ path: join(process.env.MM_SHOTS, `live-${name}.png`), fullPage: true });
    }
}

async function enter(page, text) {
    await untilStep(page, 'code');
    await page.fill('#code', text);
    await page.press('#code', 'Enter');
}

async function fillMeter(page, channel, values) {
    await page.evaluate((at) => {
        document.getElementById(`meter-${at}`).open = true;
    }, channel);
    for (const [field, value] of Object.entries(values)) {
        await page.fill(`#${field}_${channel + 1}`, value);
    }
}

async function commission({ open }) {
    const page = await open('', null, PHONE);
    await untilStep(page, 'code');
    await shot(page, '1-code');
    await enter(page, 'ffffffff');
    await untilText(page, '#code-problem', /wrong/);
    await enter(page, code);
    await untilStep(page, 'form');
    await page.fill('#node_no', '4711');
    await page.fill('#province', '17');
    await page.fill('#address', 'Av. Amazonas 21');
    await page.fill('#installer', 'María Ñandú');
    await fillMeter(page, 0, { meter_id: 'K-100', pulse_constant: '1000', start_wh: '12345.678' });
    await fillMeter(page, 1, { meter_id: 'K-200', pulse_constant: '800', start_wh: '0' });
    await page.check('#prepaid_2');
    await fillMeter(page, 1, { warning_wh: '2.5', emergency_wh: '1' });
    await shot(page, '2-form');
    say('typed');
    const second = await hear(); // the node was killed: the session is gone, another code is needed
    await untilText(page, '#message', /session is over/);
    await shot(page, '2-session-lost');
    say('lost');
    await enter(page, second);
    await untilStep(page, 'form');
    assert.equal(await page.inputValue('#address'), 'Av. Amazonas 21');
    assert.equal(await page.inputValue('#meter_id_2'), 'K-200');
    await page.click('#form .main');
    await untilStep(page, 'review');
    await shot(page, '3-review');
    await page.click('#store');
    await untilStep(page, 'done');
    await untilText(page, '#done-title', /Waiting for headquarters/);
    await shot(page, '4-waiting');
    say('stored');
    await hear(); // killed once more, and confirmed
    await untilText(page, '#done-title', /is running/);
    await shot(page, '5-running');
    say('running');
}

const reason = missing();
if (reason) {
    console.log(`skip: ${reason}`);
    process.exit(77);
}
const browser = await launchBrowser();
const good = await runCheck(browser, ['commissioning', commission], url, {});
await browser.close();
process.exit(good ? 0 : 1);
