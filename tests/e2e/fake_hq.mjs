// SPDX-License-Identifier: Apache-2.0
// A small HQ that makes its data up: serves the page and the API of docs/spec/api.md without broker, database or nodes.
// For working on the page (node tests/e2e/fake_hq.mjs [--port N] [--speed N]) and for the page's test. Deterministic
// but for the passing of time.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { localFromUtc, parseTz } from '../../web/hq/tz.js';
import { Desk, OPERATOR_TOKEN, Refusal } from './lib/fake_desk.mjs';
import { HOSTILE_ID } from './lib/hostile.mjs';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const TZ_TEXT = 'CET-1CEST,M3.5.0,M10.5.0/3';
const TZ = parseTz(TZ_TEXT);
const INTERVAL_S = 900;
const NEWEST_START_S = Date.UTC(2016, 2, 27, 17, 40) / 1000; // the day of the clock change in Europe
const HISTORY_S = 36 * 86400;
const YEAR_START_S = Date.UTC(2015, 11, 1) / 1000;

/** Where the browser's libraries are in node_modules; the build copies the same ones. */
export const VENDOR_FILES = {
    'htm-preact.module.js': 'htm/preact/standalone.module.js',
    'uPlot.esm.js': 'uplot/dist/uPlot.esm.js',
    'uPlot.min.css': 'uplot/dist/uPlot.min.css',
};

const CONTENT_TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.json': 'application/json',
};

const NAMES = [
    ['grid-import', 'grid-export', 'pv-roof', 'heat-pump', 'ev-charger', 'freezer', 'dishwasher', 'washing'],
    ['flat-01', 'flat-02', 'flat-03', 'flat-04', 'flat-05', 'flat-06', 'stairs-light', 'lift'],
    ['flat-07', 'flat-08', 'flat-09', 'flat-10', 'bakery', 'workshop', 'laundry', '<b>pump</b>'],
];
export { HOSTILE_ID, OPERATOR_TOKEN };
const PREPAID = ['flat-01', 'flat-02', 'flat-03', 'flat-04', 'flat-07', '<b>pump</b>'];

/** Number in [0, 1) that depends on its arguments alone. */
function noise(...values) {
    let hash = 2166136261;
    for (const value of values) {
        hash = Math.imul(hash ^ (value & 0xffff), 16777619);
        hash = Math.imul(hash ^ (value >>> 16), 16777619);
    }
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 2246822519);
    return ((hash ^ (hash >>> 13)) >>> 0) / 4294967296;
}

/** Wh of one interval: a base, a morning, an evening, some cooking; midday for the roof. */
function intervalWh(meter, end_s) {
    const local = localFromUtc(TZ, end_s - INTERVAL_S);
    const hour = local.hour + local.minute / 60;
    const bump = (centre, width) => Math.exp(-(((hour - centre) / width) ** 2));
    const index = Math.floor(end_s / INTERVAL_S);
    if (meter.name === 'pv-roof' || meter.name === 'grid-export') {
        const clouds = 0.35 + 0.65 * noise(7, Math.floor(index / 6));
        return Math.round(900 * bump(12.7, 2.6) * clouds * (meter.name === 'pv-roof' ? 1 : 0.5));
    }
    if (meter.name === 'ev-charger') {
        return hour >= 22 || hour < 2 ? (noise(9, local.day) > 0.4 ? 1830 : 0) : 0;
    }
    const size = 18 + 60 * noise(meter.number, 1);
    const weekend = local.weekday % 6 === 0 ? 1.25 : 1;
    const cooking = noise(meter.number, index) > 0.93 ? 260 * noise(meter.number, index, 3) : 0;
    return Math.round(
        (size * (0.35 + 0.9 * bump(7.5, 1.4) + 1.6 * bump(19.2, 2.3)) * weekend + cooking * bump(15, 6)) *
            (0.75 + 0.5 * noise(meter.number, index, 2)),
    );
}

class Meter {
    constructor(node, channel, number, name, options) {
        this.node = node;
        this.channel = channel;
        this.number = number;
        this.name = name;
        this.id = options.extremes && number === 9 ? HOSTILE_ID : name;
        this.start_wh = BigInt(Math.round(4e6 + 6e7 * noise(number, 4)));
        if (options.extremes && number === 2) {
            this.start_wh = 9007199254740993n; // 2^53 + 1
        }
        this.total_wh = 0;
        this.rows = [];
        this.months = new Map();
        this.prepaid = PREPAID.includes(name);
        this.balance_wh = this.prepaid ? -this.number * 400 : 0;
        this.reasons = new Set();
        if (name === 'flat-02') {
            this.balance_wh = -10000 - 12; // its first sale was not enough
            this.reasons.add('no_credit');
        }
        if (name === 'laundry') {
            this.reasons.add('locked').add('tamper');
        }
    }

    add(end_s) {
        const energy_wh = intervalWh(this, end_s);
        const local = localFromUtc(TZ, end_s - INTERVAL_S);
        const yearMonth = `${local.year}-${String(local.month).padStart(2, '0')}`;
        this.total_wh += energy_wh;
        if (!this.months.has(yearMonth)) {
            this.months.set(yearMonth, {
                year_month: yearMonth,
                month_wh: 0,
                hours_wh: new Array(24).fill(0),
                end_wh: 0,
            });
        }
        const month = this.months.get(yearMonth);
        month.month_wh += energy_wh;
        month.hours_wh[local.hour] += energy_wh;
        month.end_wh = this.total_wh;
        this.rows.push([end_s, INTERVAL_S, energy_wh, energy_wh, 'synced', 0]);
    }

    /** State at a time: the complete intervals and a part of the one in progress. */
    at(now_s) {
        const begin_s = Math.floor(now_s / INTERVAL_S) * INTERVAL_S;
        const partial = Math.floor((intervalWh(this, begin_s + INTERVAL_S) * (now_s - begin_s)) / INTERVAL_S);
        const month = [...this.months.values()].at(-1);
        const hour = localFromUtc(TZ, now_s).hour;
        return {
            partial,
            month,
            power_w: this.rows.at(-1)[2] * 4,
            life: this.total_wh + partial,
            hours_wh: month.hours_wh.map((value, index) => (index === hour ? value + partial : value)),
        };
    }
}

/** Some hours of intervals summed to coarse ones, as a node with a full journal does, and a hole. */
function disturb(rows, from_s) {
    const sixHours = 6 * 3600;
    const result = [];
    let sum = null;
    for (const row of rows) {
        if (row[0] > from_s && row[0] <= from_s + sixHours) {
            const before = sum ?? [0, 0, 0, 0, 'held', 1];
            sum = [row[0], before[1] + row[1], before[2] + row[2], before[3] + row[3], 'held', 1];
            if (sum[1] === 3600) {
                result.push(sum);
                sum = null;
            }
        } else if (row[0] <= from_s + sixHours || row[0] > from_s + sixHours + 5400) {
            result.push(row);
        }
    }
    return result;
}

class World {
    constructor(options) {
        this.options = options;
        this.startedMs = Date.now();
        this.macs = ['02:4d:4d:00:10:a1', '02:4d:4d:00:10:a2', '02:4d:4d:00:10:a3'];
        this.meters = options.empty
            ? []
            : NAMES.flatMap((names, node) =>
                  names.map((name, channel) => new Meter(this.macs[node], channel, node * 8 + channel, name, options)),
              );
        this.desk = new Desk(this, options);
        this.filledTo_s = Math.floor((NEWEST_START_S - HISTORY_S) / INTERVAL_S) * INTERVAL_S;
        this.advance();
    }

    now() {
        return NEWEST_START_S + ((Date.now() - this.startedMs) / 1000) * this.options.speed;
    }

    advance() {
        const now_s = Math.floor(this.now());
        for (; this.filledTo_s + INTERVAL_S <= now_s; this.filledTo_s += INTERVAL_S) {
            this.meters.forEach((meter) => meter.add(this.filledTo_s + INTERVAL_S));
        }
        return now_s;
    }

    recordCount() {
        return Math.floor((this.filledTo_s - NEWEST_START_S + HISTORY_S) / INTERVAL_S);
    }
}

const big = (value) => `@@${value}@@`;

const ROUTES = {
    status: (world, now_s) => ({
        version: '0.1.0-fake',
        time: now_s,
        speed: world.options.speed,
        displays: Boolean(world.options.displays),
        database: {
            records: world.recordCount() * 3 + 61,
            snapshots: world.recordCount() * 5,
            quarantined: 2,
            gaps: 3,
        },
        broker: {
            connected: !world.options.empty,
            messages: world.recordCount() * 2,
            last_message: now_s - (now_s % 300),
        },
        ingest: { committed: world.recordCount() * 3, duplicates: 17 },
    }),
    sites: (world, now_s) => ({
        sites: world.options.empty
            ? []
            : [
                  { site: 'house4', tz: TZ_TEXT, nodes: 3, meters: 24, last_seen: now_s - 12, root: world.macs[0] },
                  { site: 'quiet-yard', tz: '<-03>3', nodes: 0, meters: 0, last_seen: now_s - 86400, root: null },
              ],
    }),
    nodes: (world, now_s, query) => ({
        nodes:
            query.get('site') === 'quiet-yard' || world.options.empty
                ? []
                : world.macs.map((mac, index) => {
                      const lastSeen = index === 2 ? NEWEST_START_S - 9000 : now_s - (now_s % 300) - index;
                      return {
                          site: 'house4',
                          mac,
                          root: index === 0,
                          layer: index + 1,
                          last_seen: lastSeen,
                          snapshot_time: lastSeen,
                          time_trust: ['synced', 'synced', 'held'][index],
                          boot_no: 3 + index,
                          uptime_s: now_s - NEWEST_START_S + 86400 * (5 + index),
                          epoch: 1,
                          watermark: world.recordCount() - (index === 2 ? 10 : 0),
                          next: world.recordCount() + 1,
                          oldest: 1,
                          backlog: index === 2 ? 10 : 0,
                          gaps: index === 1 ? 2 : index === 2 ? 1 : 0,
                          missed_rounds: index === 2 ? 8 : 0,
                          counters: [
                              {},
                              { journal_thinned: 24, answer_duplicate: 3 },
                              { mesh_send_failed: 41, fram_slot_damaged: 1 },
                          ][index],
                      };
                  }),
    }),
    meters: (world, now_s, query) => ({
        meters: world.meters
            .filter(
                (meter) =>
                    (query.get('site') ?? 'house4') === 'house4' && (query.get('node') ?? meter.node) === meter.node,
            )
            .map((meter) => {
                const { partial, month, power_w, life, hours_wh } = meter.at(now_s);
                return {
                    site: 'house4',
                    node: meter.node,
                    channel: meter.channel,
                    id: meter.id,
                    pulse_constant: 1000,
                    energy_wh: big(meter.start_wh + BigInt(life)),
                    life_pulses: life,
                    month_wh: month.month_wh + partial,
                    year_month: month.year_month,
                    hours_wh,
                    interval_wh: partial,
                    power_w,
                    last_seen: now_s - (now_s % 300),
                    time_trust: meter.node === world.macs[2] ? 'held' : 'synced',
                    ...world.desk.meterFields(meter),
                };
            }),
    }),
    intervals: (world, now_s, query) => {
        const meter = findMeter(world, query);
        const rows = meter.node === world.macs[1] ? disturb(meter.rows, NEWEST_START_S - 30 * 3600) : meter.rows;
        const from = query.has('from') ? Number(query.get('from')) : rows.at(-1)[0] - 3 * 86400;
        const to = query.has('to') ? Number(query.get('to')) : Infinity;
        return { intervals: rows.filter(([end]) => end > from && end <= to).slice(-3000) };
    },
    months: (world, now_s, query) => {
        const meter = findMeter(world, query);
        return {
            months: [...meter.months.values()].slice(0, -1).map((month) => ({
                year_month: month.year_month,
                month_wh: month.month_wh,
                hours_wh: month.hours_wh,
                energy_wh: big(meter.start_wh + BigInt(month.end_wh)),
            })),
        };
    },
    gaps: (world, now_s, query) => ({
        gaps: [
            { node: world.macs[1], epoch: 1, first: 3204, last: 3227, reason: 'thinned', explained: true },
            { node: world.macs[1], epoch: 1, first: 3228, last: 3233, reason: 'damaged', explained: true },
            { node: world.macs[2], epoch: 1, first: 3301, last: 3302, reason: '', explained: false },
        ].filter((gap) => (query.get('node') ?? gap.node) === gap.node),
    }),
    events: (world, now_s, query) => {
        const node = query.get('node') ?? world.macs[0];
        const at = NEWEST_START_S - 5 * 86400;
        const rows = [
            ['time_synced', 'synced', at + 14, [3, 14, at + 14, 0]],
            ['root_taken', 'unset', at + 9, [0, 0, 0, 0]],
            ['boot', 'unset', at, [3, 1, 0, 0]],
            ['installer_lock_out', 'synced', YEAR_START_S + 9000, [5, 2, 20, 0]],
            ['node_reset', 'synced', YEAR_START_S + 8000, [4, 1, 0, 0]],
            ['configuration', 'synced', YEAR_START_S + 7200, [2, 0, 1000, 0]],
            ['time_synced', 'synced', YEAR_START_S + 60, [1, 21, YEAR_START_S + 60, 118]],
            ['boot', 'unset', YEAR_START_S + 39, [1, 1, 0, 0]],
            ['credit_low', 'synced', YEAR_START_S + 30, [3, 500, 0, 480], ['channel', 'warning Wh', '', 'balance Wh']],
            ['tomorrow', 'synced', YEAR_START_S, [4, 0, 0, 1]],
        ];
        return {
            events: rows
                .map(([name, trust, time, values, names], index) => ({
                    node,
                    epoch: 1,
                    seq: 90 - index,
                    time,
                    time_trust: trust,
                    name,
                    values,
                    ...(names && { value_names: names }),
                }))
                .slice(0, Number(query.get('limit') ?? 100)),
        };
    },
    quarantine: () => ({
        quarantine: [
            {
                id: 2,
                received: NEWEST_START_S - 4000,
                topic: 'meter/house4/info',
                reason: 'checksum does not match',
                bytes: 4412,
                head_hex: '4d4d42010100a17e3c00',
            },
            {
                id: 1,
                received: NEWEST_START_S - 90000,
                topic: 'meter/<script>/info',
                reason: 'version 9 is not known',
                bytes: 88,
                head_hex: '4d4d420900',
            },
        ],
    }),
};

class ClientError extends Error {}

/** A picture of tests/vectors/display as truth values, row by row. */
export async function readDots(name) {
    const text = await readFile(join(REPOSITORY, 'tests/vectors/display', `${name}.txt`), 'utf8');
    return text
        .trimEnd()
        .split('\n')
        .map((line) => [...line].map((dot) => dot === '#'));
}

async function readPicture(name) {
    const dots = await readDots(name);
    const bytes = Buffer.alloc((128 * 64) / 8);
    dots.forEach((row, y) => {
        row.forEach((lit, x) => {
            bytes[(y >> 3) * 128 + x] |= lit ? 1 << (y & 7) : 0;
        });
    });
    return bytes.toString('hex');
}

function findMeter(world, query) {
    const meter = world.meters.find(
        (entry) => entry.node === query.get('node') && String(entry.channel) === query.get('channel'),
    );
    if (!meter) {
        throw new ClientError('no such meter: give node=MAC and channel=0…7 of /api/v1/meters');
    }
    return meter;
}

async function answerFile(response, folder, path) {
    const file = resolve(folder, `.${sep}${path}`);
    if (!file.startsWith(folder + sep)) {
        return answer(response, 404, 'text/plain', 'no such file\n');
    }
    try {
        return answer(response, 200, CONTENT_TYPES[extname(file)] ?? 'application/octet-stream', await readFile(file));
    } catch {
        return answer(response, 404, 'text/plain', 'no such file\n');
    }
}

async function textOf(request) {
    const chunks = [];
    for await (const chunk of request) {
        chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
}

function answer(response, status, type, body) {
    response.writeHead(status, {
        'Content-Type': type,
        'Cache-Control': 'no-cache',
        'X-Content-Type-Options': 'nosniff',
        'Content-Security-Policy': "default-src 'self'",
    });
    response.end(body);
}

/**
 * Starts serving on 127.0.0.1. options: port (0 = a free one), speed, modules (folder node_modules), extremes (a
 * hostile meter id and a register beyond 2^53), displays (name of a picture of tests/vectors/display, which is that of
 * every node; null: none are shown), empty (nothing has reported yet). Resolves to {url, port, fault, stop,
 * restart, desk}: fault(status or 0) lets the API answer with an error; stop ends it at once, restart serves again on
 * the same port; desk is what operators change (lib/fake_desk.mjs).
 */
export async function startFakeHq(options = {}) {
    const settings = {
        port: 0,
        speed: 60,
        modules: join(REPOSITORY, 'node_modules'),
        extremes: false,
        empty: false,
        displays: 'home',
        ...options,
    };
    const world = new World(settings);
    let server = null;
    let faultStatus = 0;

    const handle = async (request, response) => {
        const url = new URL(request.url, 'http://localhost');
        const path = decodeURIComponent(url.pathname);
        if (path.startsWith('/api/v1/')) {
            const name = path.slice('/api/v1/'.length);
            const route = ROUTES[name];
            if (faultStatus) {
                const error = 'the database is locked: another process has it open';
                return answer(response, faultStatus, 'application/json', JSON.stringify({ error }));
            }
            const picture = name.match(/^nodes\/[0-9a-f:]{17}\/display$/) && settings.displays;
            if (picture && request.method === 'GET') {
                const bytes = await readPicture(settings.displays);
                return answer(response, 200, 'application/json', JSON.stringify({ bytes }));
            }
            if (!route || request.method !== 'GET') {
                const text = await textOf(request);
                const done = world.desk.answer(request.method, name, url.searchParams, request.headers, text);
                return answer(response, done.status, 'application/json', JSON.stringify(done.body));
            }
            const json = JSON.stringify(route(world, world.advance(), url.searchParams)).replace(
                /"@@(-?\d+)@@"/g,
                '$1',
            );
            return answer(response, 200, 'application/json', json);
        }
        if (path.startsWith('/vendor/')) {
            const file = VENDOR_FILES[path.slice('/vendor/'.length)];
            return answerFile(response, settings.modules, file ?? 'none');
        }
        return answerFile(response, join(REPOSITORY, 'web/hq'), path === '/' ? 'index.html' : path);
    };

    const listen = (port) =>
        new Promise((done, fail) => {
            server = createServer((request, response) => {
                handle(request, response).catch((error) =>
                    answer(
                        response,
                        error instanceof Refusal ? error.status : error instanceof ClientError ? 404 : 500,
                        'application/json',
                        JSON.stringify({ error: error.message }),
                    ),
                );
            });
            server.once('error', fail);
            server.listen(port, '127.0.0.1', () => done(server.address().port));
        });
    const port = await listen(settings.port);
    return {
        port,
        url: `http://127.0.0.1:${port}/`,
        fault: (status) => {
            faultStatus = status;
        },
        stop: () =>
            new Promise((done) => {
                server.close(done);
                server.closeAllConnections();
            }),
        restart: () => listen(port),
        desk: world.desk,
        showPicture: (name) => {
            settings.displays = name;
        },
    };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const value = (name, otherwise) => {
        const index = process.argv.indexOf(name);
        return index > 0 ? process.argv[index + 1] : otherwise;
    };
    const hq = await startFakeHq({
        port: Number(value('--port', 8080)),
        speed: Number(value('--speed', 60)),
        extremes: process.argv.includes('--extremes'),
        empty: process.argv.includes('--empty'),
        modules: resolve(value('--modules', join(REPOSITORY, 'node_modules'))),
    });
    console.log(`fake HQ: ${hq.url}\noperator's token: ${OPERATOR_TOKEN}`);
}
