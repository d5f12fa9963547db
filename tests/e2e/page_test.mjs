#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// HQ's page in a real browser. usage: page_test.mjs [URL of a running HQ with 24 meters]; MM_PAGE_URL says the same;
// without either the page is tested on the fake HQ beside this file, which can also be made to fail. First its modules
// alone, without a browser. Exit: 0 passed, 1 failed, 77 skipped because the browser is missing.

import assert from 'node:assert/strict';
import { parseExact } from '../../web/hq/api.js';
import { formatCount, formatDuration, formatKwh, visible } from '../../web/hq/format.js';
import { linkTo, parseRoute } from '../../web/hq/route.js';
import { localDays, localFromUtc, localMarks, parseTz, utcFromLocal } from '../../web/hq/tz.js';
import { HOSTILE_ID, readDots, startFakeHq } from './fake_hq.mjs';
import { DESKTOP, launchBrowser, missing, MODULES, PHONE, runCheck, WAIT_MS, widthFits } from './lib/browser.mjs';

// ---- Modules without a browser

/** The rules of these zones since 2007 or earlier, beside the name under which the platform's own table has them. */
const ZONES = [
    ['CET-1CEST,M3.5.0,M10.5.0/3', 'Europe/Berlin'],
    ['EST5EDT,M3.2.0,M11.1.0', 'America/New_York'],
    ['AEST-10AEDT,M10.1.0,M4.1.0/3', 'Australia/Sydney'],
    ['IST-1GMT0,M10.5.0,M3.5.0/1', 'Europe/Dublin'],
    ['NST3:30NDT,M3.2.0,M11.1.0', 'America/St_Johns'],
    ['<+0545>-5:45', 'Asia/Kathmandu'],
    ['UTC0', 'UTC'],
];

function platformLocal(format, utc_s) {
    const parts = Object.fromEntries(
        format.formatToParts(new Date(utc_s * 1000)).map(({ type, value }) => [type, value]),
    );
    return [parts.year, parts.month, parts.day, parts.hour, parts.minute, parts.second].map(Number);
}

function checkZones() {
    const from_s = Date.UTC(2012, 0, 1) / 1000;
    const to_s = Date.UTC(2024, 0, 1) / 1000;
    for (const [text, name] of ZONES) {
        const tz = parseTz(text);
        const format = new Intl.DateTimeFormat('en-GB', {
            timeZone: name,
            hourCycle: 'h23',
            year: 'numeric',
            month: 'numeric',
            day: 'numeric',
            hour: 'numeric',
            minute: 'numeric',
            second: 'numeric',
        });
        // 25 h and a bit: every hour of the day is met. Then each minute around the changes of one year.
        const times = [];
        for (let utc_s = from_s; utc_s < to_s; utc_s += 90061) {
            times.push(utc_s);
        }
        for (let utc_s = Date.UTC(2016, 0, 1) / 1000; utc_s < Date.UTC(2017, 0, 1) / 1000; utc_s += 1799) {
            times.push(utc_s);
        }
        for (const utc_s of times) {
            const local = localFromUtc(tz, utc_s);
            assert.deepEqual(
                [local.year, local.month, local.day, local.hour, local.minute, local.second],
                platformLocal(format, utc_s),
                `${text} at ${utc_s}`,
            );
            assert.equal(local.weekday, new Date(Date.UTC(local.year, local.month - 1, local.day)).getUTCDay());
        }
    }
    // Daylight time all year (POSIX: from 0/0 to J365/25), and dates counted by day.
    const always = parseTz('XXX3YYY2,0/0,J365/25');
    for (const utc_s of [
        Date.UTC(2019, 11, 31, 23, 59) / 1000,
        Date.UTC(2020, 0, 1, 3) / 1000,
        Date.UTC(2020, 6, 1) / 1000,
    ]) {
        assert.equal(localFromUtc(always, utc_s).name, 'YYY');
    }
    const julian = parseTz('AAA0BBB,J60/0,J61/0'); // J60 is 1 March in every year
    assert.equal(localFromUtc(julian, Date.UTC(2016, 2, 1, 12) / 1000).name, 'BBB');
    assert.equal(localFromUtc(julian, Date.UTC(2016, 1, 29, 12) / 1000).name, 'AAA');
    assert.equal(
        localFromUtc(parseTz('<-02>2<-01>,M3.5.0/-1,M10.5.0/0'), Date.UTC(2024, 2, 31, 0, 59) / 1000).offset_s,
        -7200,
    );
    assert.equal(
        localFromUtc(parseTz('<-02>2<-01>,M3.5.0/-1,M10.5.0/0'), Date.UTC(2024, 2, 31, 1, 0) / 1000).offset_s,
        -3600,
    );
    for (const wrong of ['Europe/Berlin', 'CET', 'CET-1CEST', 'CET-1CEST,M13.5.0,M10.5.0', '<>1', 'CET-1CEST,M3.5.0']) {
        assert.throws(() => parseTz(wrong), RangeError, wrong);
    }
    assert.equal(localFromUtc(parseTz(''), 0).year, 1970);
}

function checkMarks() {
    const tz = parseTz('CET-1CEST,M3.5.0,M10.5.0/3');
    const from_s = Date.UTC(2016, 2, 26, 23) / 1000; // local midnight; the day of the change has 23 hours
    assert.equal(utcFromLocal(tz, localDays(tz, from_s), 0), from_s);
    const hours = localMarks(tz, from_s, from_s + 23 * 3600, 10).map((mark) => localFromUtc(tz, mark).hour);
    assert.deepEqual(hours, [0, 3, 6, 9, 12, 15, 18, 21, 0]);
    const days = localMarks(tz, from_s, from_s + 30 * 86400, 12);
    assert.ok(days.length >= 6 && days.length <= 12);
    assert.ok(days.every((mark) => localFromUtc(tz, mark).hour === 0));
}

function checkTexts() {
    const space = '\u202f';
    assert.equal(formatKwh(0), '0.000');
    assert.equal(formatKwh(1234567), `1${space}234.567`);
    assert.equal(formatKwh('9007199254740993'), `9${space}007${space}199${space}254${space}740.993`);
    assert.equal(formatKwh(-1), '−0.001');
    assert.equal(formatKwh(null), '–');
    assert.equal(formatCount('18446744073709551615').replaceAll(space, ''), '18446744073709551615');
    assert.deepEqual(
        ['0 s', '59 s', '1 min 1 s', '59 min', '1 h 1 min', '2 d 1 h'],
        [-5, 59, 61, 3599, 3660, 176400].map(formatDuration),
    );
    assert.equal(visible('a\u202eb\u0000'), 'a\\u202eb\\u0000');
    assert.deepEqual(
        parseExact(
            '{"a":9007199254740993,"b":"9007199254740993 \\" 12345678901234567","c":[1.5e300,12,-9223372036854775808]}',
        ),
        { a: '9007199254740993', b: '9007199254740993 " 12345678901234567', c: [1.5e300, 12, '-9223372036854775808'] },
    );
    assert.throws(() => parseExact('{"a":'));
    assert.deepEqual(parseRoute('#/meter/02:4d:4d:00:10:a1/3'), {
        view: 'meter',
        node: '02:4d:4d:00:10:a1',
        channel: 3,
        site: null,
    });
    assert.equal(linkTo.meter('02:4d', 3), '#/meter/02:4d/3');
    assert.equal(parseRoute(linkTo.site('a/b%')).site, 'a/b%');
    for (const odd of ['', '#', '#/meter/x', '#/meter/%/1', '#/meter/x/-1', '#/site/', '#/meter//1']) {
        assert.equal(parseRoute(odd).view, 'overview', odd);
    }
}

// ---- In the browser

/** Each check gets an own page. `hq` is the fake HQ or null. */
const DRAGS_MAX = 5;
const DRAG_WAIT_MS = 3000;

async function drag(page, box) {
    await page.mouse.move(box.x + box.width * 0.4, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
    await page.mouse.up();
}

const CHECKS = [
    [
        '24 meters are visible',
        async ({ open }) => {
            const page = await open('');
            await page.waitForFunction(() => document.querySelectorAll('a.card .energy .number').length >= 24, null, {
                timeout: WAIT_MS,
            });
            const texts = await page.locator('a.card > .energy .number').allTextContents();
            assert.equal(texts.length, 24);
            assert.ok(
                texts.every((text) => /^\d{1,3}(\u202f\d{3})*\.\d{3}$/.test(text)),
                texts.join(' '),
            );
            assert.equal(await page.locator('a.card').first().isVisible(), true);
            assert.ok((await page.locator('table.nodes > tbody > tr').count()) >= 1);
            assert.equal(await page.locator('table.nodes .badge.root').count(), 1, 'one node is the root');
        },
    ],
    [
        'a value changes by itself',
        async ({ open }) => {
            const page = await open('');
            await page.waitForSelector('a.card > .energy');
            const before = await energies(page);
            await page.waitForFunction(
                (old) =>
                    [...document.querySelectorAll('a.card > .energy')].some(
                        (element, index) => element.value !== old[index],
                    ),
                before,
                { timeout: WAIT_MS },
            );
        },
    ],
    [
        'both plots are drawn, with tables as alternative',
        async ({ open }) => {
            const page = await openMeter(open);
            await page.waitForFunction(() => document.querySelectorAll('.plot-box canvas').length === 2, null, {
                timeout: WAIT_MS,
            });
            await page.waitForFunction(
                () =>
                    [...document.querySelectorAll('.plot-box canvas')].every((canvas) => {
                        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                        let drawn = 0;
                        for (let index = 3; index < pixels.length; index += 4) {
                            drawn += pixels[index] > 0 ? 1 : 0;
                        }
                        return drawn > 1000;
                    }),
                null,
                { timeout: WAIT_MS },
            );
            await page.locator('.as-table summary').nth(1).press('Enter');
            await page.waitForSelector('.as-table table');
            assert.equal(await page.locator('.as-table').nth(1).locator('tbody tr').count(), 24);
            await page.keyboard.press('Escape');
            await page.waitForSelector('a.card');
        },
    ],
    [
        'a plot is updated without losing its zoom',
        async ({ open }) => {
            const page = await openMeter(open);
            const over = page.locator('.plot-box .u-over').first();
            await over.waitFor({ timeout: WAIT_MS });
            const full = await range(page);
            // On a live site the page may still be growing while the mouse is on its way.
            for (let attempt = 0; attempt < DRAGS_MAX && (await page.locator('.plot-reset').count()) === 0; attempt += 1) {
                await drag(page, await over.boundingBox());
                await page.waitForSelector('.plot-reset', { timeout: DRAG_WAIT_MS }).catch(() => {});
            }
            await page.waitForSelector('.plot-reset', { timeout: DRAG_WAIT_MS });
            const zoomed = await range(page);
            assert.notEqual(zoomed, full);
            const asked = page.waitForResponse((response) => response.url().includes('/intervals?'), {
                timeout: WAIT_MS,
            });
            await (await asked).finished();
            await page.waitForResponse((response) => response.url().includes('/status'), { timeout: WAIT_MS });
            assert.equal(await range(page), zoomed);
            await page.click('.plot-reset');
            await page.waitForSelector('.plot-reset', { state: 'detached' });
            assert.notEqual(await range(page), zoomed);
        },
    ],
    [
        'a hostile meter id is text',
        async ({ open, dialogs }) => {
            // Put in on the way, so that it is there whatever HQ has.
            const page = await open('', (target) =>
                target.route('**/api/v1/meters*', async (route) => {
                    const response = await route.fetch();
                    const answer = await response.text();
                    const id = /"id":\s*"(?:[^"\\]|\\.)*"/;
                    await route.fulfill({
                        response,
                        body: answer.replace(id, () => `"id":${JSON.stringify(HOSTILE_ID)}`),
                    });
                }),
            );
            await page.waitForFunction(
                (id) =>
                    [...document.querySelectorAll('a.card .card-id')].some(
                        (element) => element.textContent.trim() === id,
                    ),
                HOSTILE_ID,
                { timeout: WAIT_MS },
            );
            await page.locator('a.card', { hasText: 'window.pwned' }).first().click();
            await page.waitForFunction((id) => document.querySelector('.detail h2')?.textContent === id, HOSTILE_ID, {
                timeout: WAIT_MS,
            });
            assert.equal(await page.evaluate(() => window.pwned), undefined);
            assert.equal(await page.locator('#app script, #app img:not(.brand img)').count(), 0);
            assert.deepEqual(dialogs, []);
            assert.ok(await widthFits(page), 'a long id does not widen the page');
        },
    ],
    [
        'an outage shows since when, and ends by itself',
        async ({ open, hq }) => {
            const page = await open('');
            await page.waitForSelector('a.card');
            if (hq) {
                await hq.stop();
            } else {
                await page.route('**/api/v1/**', (route) => route.abort('connectionrefused'));
            }
            await page.waitForSelector('.banner', { timeout: WAIT_MS });
            assert.match(
                await page.locator('.banner').textContent(),
                /cannot be reached since .*\d\d:\d\d:\d\d.*last known values.*Next attempt/s,
            );
            assert.equal(await page.locator('a.card').count(), 24, 'the last known values stay');
            const before = await energies(page);
            if (hq) {
                await hq.restart();
            } else {
                await page.unroute('**/api/v1/**');
            }
            await page.waitForSelector('.banner', { state: 'detached', timeout: WAIT_MS });
            await page.waitForFunction(
                (old) =>
                    [...document.querySelectorAll('a.card > .energy')].some(
                        (element, index) => element.value !== old[index],
                    ),
                before,
                { timeout: WAIT_MS },
            );
        },
    ],
    [
        'an error of HQ is shown in its words',
        async ({ open, hq }) => {
            if (!hq) {
                return;
            }
            const page = await open('');
            await page.waitForSelector('a.card');
            hq.fault(500);
            await page.waitForSelector('.banner', { timeout: WAIT_MS });
            hq.fault(0);
            assert.match(await page.locator('.banner').textContent(), /answers with an error.*the database is locked/s);
            await page.click('.banner button');
            await page.waitForSelector('.banner', { state: 'detached', timeout: WAIT_MS });
        },
        { expectsErrors: true },
    ],
    [
        'a register beyond 2^53 is exact',
        async ({ open, hq }) => {
            if (!hq) {
                return;
            }
            const page = await open('');
            const value = await page
                .locator('a.card', { hasText: 'pv-roof' })
                .locator('> .energy')
                .getAttribute('value', { timeout: WAIT_MS });
            const text = await page
                .locator('a.card', { hasText: 'pv-roof' })
                .locator('> .energy .number')
                .textContent();
            assert.ok(BigInt(value) > 9007199254740993n);
            assert.match(text, /^9\u202f007\u202f199\u202f25\d\u202f\d{3}\.\d{3}$/);
        },
    ],
    [
        "a node's display is shown as it is, and follows",
        async ({ open, hq }) => {
            if (!hq) {
                return; // what a real node shows is not known here
            }
            hq.showPicture('number');
            const page = await open('');
            await page.locator('table.nodes button').first().click();
            const canvas = page.locator('.display canvas');
            await canvas.waitFor({ timeout: WAIT_MS });
            await waitForDots(page, await readDots('number'));
            assert.match(await canvas.getAttribute('aria-label'), /^Display of [0-9a-f:]{17}: lit$/);
            assert.equal(await canvas.getAttribute('role'), 'img');
            assert.equal(await canvas.evaluate((element) => getComputedStyle(element).imageRendering), 'pixelated');
            hq.showPicture('meter-off');
            await waitForDots(page, await readDots('meter-off'));
            hq.showPicture('dark');
            await page.waitForSelector('.display canvas[aria-label*="dark"]', { timeout: WAIT_MS });
            await waitForDots(page, await readDots('dark'));
            hq.showPicture('home');
        },
    ],
    [
        'an HQ without displays has no place for them',
        async ({ open, hq }) => {
            if (!hq) {
                return;
            }
            hq.showPicture(null);
            const page = await open('');
            await page.locator('table.nodes button').first().click();
            await page.waitForSelector('.more-row h3', { timeout: WAIT_MS });
            assert.equal(await page.locator('.display').count(), 0);
            hq.showPicture('home');
        },
    ],
    [
        'a phone needs no sideways scrolling',
        async ({ open }) => {
            const page = await open('', null, PHONE);
            await page.waitForSelector('a.card');
            assert.ok(await widthFits(page), 'overview');
            await page.locator('table.nodes button').first().click();
            await page.waitForSelector('.more-row');
            assert.ok(await widthFits(page), 'node opened');
            await page.locator('a.card').first().click();
            await page.waitForFunction(() => document.querySelectorAll('.plot-box canvas').length === 2, null, {
                timeout: WAIT_MS,
            });
            assert.ok(await widthFits(page), 'meter');
            await page.evaluate(() => {
                location.hash = '#/quarantine';
            });
            await page.waitForSelector('#quarantine-title');
            assert.ok(await widthFits(page), 'quarantine');
        },
    ],
    [
        'events say what their values are, with the names of HQ where the page has no words of its own',
        async ({ open, hq }) => {
            if (!hq) {
                return; // a live site has events of its own
            }
            const page = await openMeter(open);
            for (const text of ['5 wrong codes', 'channel 4, warning Wh 500, balance Wh 480', 'values 4, 0, 0, 1']) {
                await page.waitForSelector(`[aria-label=Events] >> text=${text}`, { timeout: WAIT_MS });
            }
        },
    ],
    [
        'an unknown meter says so',
        async ({ open }) => {
            const page = await open('#/meter/00:00:00:00:00:00/7');
            await page.waitForSelector('text=HQ does not know this meter', { timeout: WAIT_MS });
        },
        { expectsErrors: true },
    ],
    [
        'an HQ without sites says what to do',
        async ({ open, emptyUrl }) => {
            const page = await open('', null, DESKTOP, emptyUrl);
            await page.waitForSelector('text=No site has reported yet', { timeout: WAIT_MS });
        },
    ],
];

/** Until the canvas has these dots: lit ones are bright. */
function waitForDots(page, dots) {
    return page.waitForFunction(
        (wanted) => {
            const canvas = document.querySelector('.display canvas');
            const { data } = canvas.getContext('2d').getImageData(0, 0, 128, 64);
            return wanted.every((row, y) => row.every((lit, x) => data[4 * (128 * y + x)] > 128 === lit));
        },
        dots,
        { timeout: WAIT_MS },
    );
}

const energies = (page) =>
    page.locator('a.card > .energy').evaluateAll((elements) => elements.map((element) => element.value));
const range = (page) => page.locator('.plot-box').first().getAttribute('data-range');

async function openMeter(open) {
    const overview = await open('');
    await overview.waitForSelector('a.card', { timeout: WAIT_MS });
    await overview.locator('a.card').first().click();
    await overview.waitForSelector('.detail h2', { timeout: WAIT_MS });
    return overview;
}

function normalised(url) {
    return url ? new URL('./', url).href : null;
}

async function main() {
    for (const check of [checkZones, checkMarks, checkTexts]) {
        check();
        console.log(`ok   ${check.name}`);
    }
    const reason = missing();
    if (reason) {
        console.log(`skipped: ${reason}`);
        return 77;
    }
    const given = normalised(process.argv[2] ?? process.env.MM_PAGE_URL);
    const hq = given ? null : await startFakeHq({ modules: MODULES, speed: 300, extremes: true });
    const empty = await startFakeHq({ modules: MODULES, empty: true });
    const browser = await launchBrowser();
    let failed = 0;
    try {
        for (const check of CHECKS) {
            failed += (await runCheck(browser, check, given ?? hq.url, { hq, emptyUrl: empty.url })) ? 0 : 1;
        }
    } finally {
        await browser.close();
        await Promise.all([hq?.stop(), empty.stop()]);
    }
    console.log(failed ? `${failed} of ${CHECKS.length} checks failed` : `all ${CHECKS.length} checks passed`);
    return failed ? 1 : 0;
}

process.exitCode = await main();
