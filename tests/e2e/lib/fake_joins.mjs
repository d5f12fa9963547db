// SPDX-License-Identifier: Apache-2.0
// The part of the fake HQ that has to do with nodes that want to join. No root is behind it: an admission reaches it by
// the number of times that somebody looked.

import { HOSTILE_ID } from './hostile.mjs';
import { Refusal } from './refusal.mjs';

const NEXT_STATE = { queued: 'sent', sent: 'accepted', accepted: 'done' };
const ORDER = { waiting: 0, unproved: 2 };

export class Joins {
    /** desk: world, now(). note(operator, action, detail) is the audit log's. options.empty: nobody asks. */
    constructor(desk, note, { empty = false, extremes = false } = {}) {
        this.desk = desk;
        this.note = note;
        this.list = [];
        this.requests = new Map();
        // What a test can do.
        this.rules = [];
        this.dropped = [];
        this.holds = false;
        if (!empty) {
            this.#history(extremes);
        }
    }

    #history(extremes) {
        this.add({ device: '02:4d:4d:00:30:09', state: 'superseded' });
        this.add({ device: '02:4d:4d:00:30:08', state: 'admitted', decided_by: 'alice' });
        this.add({ device: '02:4d:4d:00:30:07', state: 'refused', decided_by: 'alice', reason: 'not in our list' });
        this.add({ device: '02:4d:4d:00:30:01', site: extremes ? HOSTILE_ID : 'house4' });
        this.add({ device: '02:4d:4d:00:30:02', conflict: { site: 'house7', why: 'is_there' } });
        this.add({ device: '02:4d:4d:00:30:03', root_has_key: false, revision: 3, is_member: true });
        this.add({ device: '02:4d:4d:00:30:04', state: 'unproved', has_key: false });
        this.add({ device: '02:4d:4d:00:30:01', state: 'unproved' });
        this.dropped = [{ site: 'house4', asks: 1234 }];
    }

    add(part) {
        const at = this.desk.now() - 600 * (9 - this.list.length);
        this.list.push({
            id: this.list.length + 1,
            site: 'house4',
            root: this.desk.world.macs[0],
            via: this.desk.world.macs[1],
            revision: 0,
            asked: at - 3,
            time_trust: 'synced',
            received: at,
            state: 'waiting',
            decided_by: '',
            decided: part.decided_by ? at + 60 : null,
            admitted: part.state === 'admitted' ? at + 600 : null,
            reason: '',
            has_key: true,
            root_has_key: true,
            is_member: false,
            command: null,
            conflict: null,
            ...part,
        });
    }

    /** A function for a route of this part, or undefined. */
    handler(route, parts, query, operator, text) {
        return {
            'GET joins': () => {
                operator();
                return { auto_join: this.rules, dropped: this.dropped, joins: this.#listed(query.get('state') ?? 'all') };
            },
            'POST joins/ID/admit': () => this.#decide(operator(), parts[1], text, 'admit'),
            'POST joins/ID/refuse': () => this.#decide(operator(), parts[1], text, 'refuse'),
        }[route];
    }

    #listed(state) {
        this.list.forEach((item) => this.#step(item));
        const place = (item) => ORDER[item.state] ?? 1;
        return this.list
            .filter((item) => state === 'all' || item.state === state)
            .sort((left, right) => place(left) - place(right) || right.id - left.id);
    }

    #step(item) {
        if (item.state === 'waiting' && item.command && !this.holds && NEXT_STATE[item.command.state]) {
            item.command.state = NEXT_STATE[item.command.state];
            if (item.command.state === 'done') {
                Object.assign(item, { state: 'admitted', admitted: this.desk.now() });
                item.command.status = 'done';
            }
        }
    }

    #decide(operator, id, text, what) {
        const { request, reason = '' } = JSON.parse(text);
        const item = this.list.find((entry) => String(entry.id) === id);
        if (this.requests.has(request)) {
            return { status: 200, body: this.requests.get(request) };
        }
        if (!item) {
            throw new Refusal(404, `join ${id}: there is none of this number`);
        }
        if (!item.root_has_key && what === 'admit') {
            throw new Refusal(400, `join ${id}: HQ has no key of ${item.root}, the root that was asked`);
        }
        if (!['waiting', 'refused'].includes(item.state) || (what === 'admit' && item.command)) {
            throw new Refusal(409, `join ${id}: is decided already`);
        }
        Object.assign(item, { decided_by: operator, decided: this.desk.now(), reason });
        if (what === 'admit') {
            Object.assign(item, { state: 'waiting', command: { order: 1, state: 'queued', status: null } });
        } else {
            item.state = 'refused';
        }
        this.note(operator, what, `join ${id}: device ${item.device}`);
        const body = { join: item };
        this.requests.set(request, body);
        return { status: 201, body };
    }
}
