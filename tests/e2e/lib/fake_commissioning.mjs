// SPDX-License-Identifier: Apache-2.0
// The part of the fake HQ that has to do with installers: codes, the audit log, installations. No node is behind it: a
// confirmation reaches its node by the number of times that somebody looked.

import { HOSTILE_ID } from './hostile.mjs';
import { Refusal } from './refusal.mjs';

const CODES_MAX = 30;
const LIFE_S = 600;
const NEXT_STATE = { queued: 'sent', sent: 'accepted', accepted: 'done' };

/** 8 hex digits that depend on node and number alone; not how HQ makes them. */
function codeFor(mac, number) {
    let hash = 2166136261;
    for (const character of `${mac} ${number}`) {
        hash = Math.imul(hash ^ character.charCodeAt(0), 16777619) >>> 0;
    }
    return hash.toString(16).padStart(8, '0');
}

const bare = (text) => text.toLowerCase().replace(/[:-]/g, '');

export class Commissioning {
    /** desk: world, now(). options.empty: nothing has been installed. */
    constructor(desk, { empty = false, extremes = false } = {}) {
        this.desk = desk;
        this.audit = [];
        this.installations = [];
        this.requests = new Map();
        this.rules = [];
        // What a test can do.
        this.codes_max = CODES_MAX;
        this.life_s = LIFE_S;
        this.holds = false;
        if (!empty) {
            this.#history(extremes);
        }
    }

    #history(extremes) {
        const [first, second] = this.desk.world.macs;
        const meter = (channel, id, more = {}) => ({
            channel,
            id,
            pulse_constant: 1000,
            start_wh: 0,
            prepaid: false,
            conflict: null,
            ...more,
        });
        this.add({ node: first, state: 'confirmed', decided_by: 'alice', meters: [meter(0, 'grid-import')] });
        this.add({ node: second, state: 'superseded', meters: [meter(0, 'flat-1')] });
        this.add({
            node: second,
            revision: 2,
            state: 'refused',
            decided_by: 'alice',
            reason: 'flat-2 hangs on the wrong channel',
            meters: [meter(0, 'flat-02'), meter(1, 'flat-01')],
        });
        this.add({
            node: '02:4d:4d:00:20:01',
            installer: extremes ? HOSTILE_ID : 'Inés Quirós',
            meters: [
                meter(0, 'flat-21', { prepaid: true, start_wh: 1234567 }),
                meter(1, 'flat-22'),
                meter(2, extremes ? HOSTILE_ID : 'flat-23', { pulse_constant: 800, start_wh: 88000000 }),
            ],
        });
        this.add({
            node: '02:4d:4d:00:20:02',
            repeated: true,
            meters: [meter(0, 'flat-01', { conflict: second }), meter(1, 'flat-24')],
        });
        this.add({ node: '02:4d:4d:00:20:03', has_key: false, meters: [meter(4, 'flat-31')] });
    }

    add(part) {
        const at = this.desk.now() - 3600 * (8 - this.installations.length);
        this.installations.push({
            id: this.installations.length + 1,
            site: 'house4',
            revision: 1,
            repeated: false,
            node_no: 100 + this.installations.length,
            province: 1,
            canton: 14,
            parish: 3,
            postal_code: 11403,
            installer: 'J. Salas',
            installed: at - 120,
            time_trust: 'synced',
            received: at,
            state: 'waiting',
            decided_by: '',
            decided: part.decided_by ? at + 900 : null,
            confirmed: part.state === 'confirmed' ? at + 960 : null,
            reason: '',
            has_key: true,
            command: null,
            ...part,
        });
    }

    /** A function for a route of this part, or undefined. */
    handler(route, parts, query, operator, text) {
        return {
            'POST codes': () => this.#code(operator(), JSON.parse(text), text),
            'GET audit': () => {
                operator();
                return { audit: this.audit.slice(-Number(query.get('limit') ?? 100)).reverse() };
            },
            'GET installations': () => {
                operator();
                return { auto_confirm: this.rules, installations: this.#listed(query.get('state') ?? 'all') };
            },
            'POST installations/ID/confirm': () => this.#decide(operator(), parts[1], text, 'confirm'),
            'POST installations/ID/refuse': () => this.#decide(operator(), parts[1], text, 'refuse'),
        }[route];
    }

    note(operator, action, detail) {
        this.audit.push({ id: this.audit.length + 1, at: this.desk.now(), operator, action, detail });
    }

    #code(operator, { request, number, mac, caller }, text) {
        const before = this.requests.get(request);
        if (before) {
            if (before.text !== text) {
                throw new Refusal(409, `request ${request}: was used for another code`);
            }
            return { status: 200, body: before.body };
        }
        const known = [...this.desk.world.macs, ...this.installations.map(({ node }) => node)];
        const found = [...new Set(known)].filter((node) => bare(node).endsWith(bare(mac)));
        if (found.length !== 1 || this.desk.keyless.has(found[0])) {
            throw new Refusal(404, `${mac}: HQ has no key of this device; meshmeter keys import`);
        }
        if (this.audit.filter(({ action }) => action === 'code').length >= this.codes_max) {
            throw new Refusal(429, `${this.codes_max} codes in an hour are the limit of one operator; the next one at ` +
                '12:34:56 UTC, in 1200 s');
        }
        this.note(operator, 'code', `node ${found[0]}, number ${number}, for ${caller}`);
        const body = { code: codeFor(found[0], number), node: found[0], expires_s: this.life_s };
        this.requests.set(request, { text, body });
        return { status: 201, body };
    }

    #listed(state) {
        this.installations.forEach((item) => this.#step(item));
        const waitsFirst = (left, right) =>
            Number(right.state === 'waiting') - Number(left.state === 'waiting') || right.id - left.id;
        return this.installations
            .filter((item) => state === 'all' || item.state === state)
            .sort(waitsFirst)
            .map((item) => ({ ...item, conflicts: item.meters.filter(({ conflict }) => conflict).length }));
    }

    #step(item) {
        if (item.state === 'waiting' && item.command && !this.holds && NEXT_STATE[item.command.state]) {
            item.command.state = NEXT_STATE[item.command.state];
            if (item.command.state === 'done') {
                Object.assign(item, { state: 'confirmed', confirmed: this.desk.now() });
                item.command.status = 'done';
            }
        }
    }

    #decide(operator, id, text, what) {
        const { request, reason = '' } = JSON.parse(text);
        const item = this.installations.find((entry) => String(entry.id) === id);
        const before = this.requests.get(request);
        if (before) {
            return { status: 200, body: before.body };
        }
        if (!item) {
            throw new Refusal(404, `installation ${id}: there is none of this number`);
        }
        if (!item.has_key && what === 'confirm') {
            throw new Refusal(400, `installation ${id}: HQ has no key of this node, so it would not obey`);
        }
        if (item.state === 'superseded' || item.state === 'confirmed' || (what === 'confirm' && item.command)) {
            throw new Refusal(409, `installation ${id}: is decided already`);
        }
        Object.assign(item, { decided_by: operator, decided: this.desk.now(), reason });
        if (what === 'confirm') {
            Object.assign(item, { state: 'waiting', command: { order: 1, state: 'queued', status: null } });
        } else {
            item.state = 'refused';
        }
        this.note(operator, what, `installation ${id}: node ${item.node}`);
        const body = { installation: item };
        this.requests.set(request, { text, body });
        return { status: 201, body };
    }
}
