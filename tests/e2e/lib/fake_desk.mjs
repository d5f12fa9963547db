// SPDX-License-Identifier: Apache-2.0
// The part of the fake HQ that people change: operators, orders that make progress, sales, books. No node is behind it:
// a command goes from state to state by the number of times that somebody looked (a step), or as the test says.

import { Commissioning } from './fake_commissioning.mjs';
import { Joins } from './fake_joins.mjs';
import { HOSTILE_ID } from './hostile.mjs';
import { Refusal } from './refusal.mjs';

export const OPERATOR_TOKEN = '5f'.repeat(32);
const OPERATOR_NAME = 'alice';
const METER_KINDS = ['lock', 'unlock', 'update', 'erase', 'read_meter', 'limits', 'mode'];
const NODE_KINDS = ['format', 'network', 'broker', 'slot_plan', 'display_on', 'find', 'reboot', 'send_now'].concat([
    'read_log',
    'ota_url',
    'ota_start',
]);
const ORDER_MEMBERS = ['request', 'target', 'kind', 'arguments', 'priority', 'expires_s'];
const SALE_MEMBERS = ['request', 'meter', 'energy_wh', 'money_minor'];
const TOKEN_UNIT_WH = 1000;
const OPEN_MAX = 8;
const STEPS_TO_APPLY = 4;
const BODY_BYTES_MAX = 16384;
const TARIFF = {
    name: 'home',
    currency: 'EUR',
    decimals: 2,
    tax_ppm: 190000,
    bands: [{ days: [0, 1, 2, 3, 4, 5, 6], from_hour: 0, to_hour: 24, price_minor_per_kwh: 32 }],
    blocks: [],
};

export { Refusal };

/** Digits that depend on the number alone; "1234" for a keypad with four keys. */
function digits(number, count, alphabet = '0123456789') {
    let state = (number * 2654435761 + count) >>> 0;
    return Array.from({ length: count }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return alphabet[(state >>> 16) % alphabet.length];
    }).join('');
}

export class Desk {
    /** world: meters with node, channel, id, name, prepaid; macs; now(). */
    constructor(world, options) {
        this.world = world;
        this.operators = new Map([[OPERATOR_TOKEN, OPERATOR_NAME]]);
        this.orders = [];
        this.purchases = [];
        this.requests = new Map();
        this.commandCount = 0;
        // What a test can do: nodes without a key, books that do not balance, gateways and meters that take nothing.
        this.keyless = new Set();
        this.unbalanced = false;
        this.holdsOrders = false;
        this.holdsSales = false;
        this.commissioning = new Commissioning(this, options);
        this.joins = new Joins(this, (...entry) => this.commissioning.note(...entry), options);
        if (!options.empty) {
            this.#history();
        }
    }

    /** What happened before the page was opened. */
    #history() {
        const ways = ['network', 'token', 'network'];
        this.prepaidMeters().forEach((meter, index) => {
            const purchase = this.#sell(meter, 5000 * (index + 1), `before-${index}`, 1600 * (index + 1));
            purchase.created -= 86400 * (6 - index);
            purchase.steps = Infinity;
            this.#apply(purchase, ways[index % ways.length]);
        });
        const [first, second] = this.prepaidMeters();
        const ended = { steps: Infinity, ended: this.now() };
        Object.assign(this.#sell(first, 3000, 'before-void', 0), { state: 'void', by: 'void', ...ended });
        Object.assign(this.#sell(second, 1000, 'before-lost', 0), { state: 'lost', by: 'new era', ...ended });
        this.#order({ target: 'site:house4', kind: 'read_log', arguments: {}, request: 'before-order' });
        this.#order({ target: first.id, kind: 'limits', arguments: { warning_wh: 2000 }, request: 'before-limits' });
    }

    now() {
        return Math.floor(this.world.now());
    }

    prepaidMeters() {
        return this.world.meters.filter((meter) => meter.prepaid);
    }

    /** What the list of meters says more about this one. */
    meterFields(meter) {
        return {
            prepaid: meter.prepaid,
            balance_wh: meter.prepaid ? meter.balance_wh : 0,
            relay_closed: meter.reasons.size === 0,
            relay_reasons: [...meter.reasons],
            credit_low: meter.prepaid && meter.balance_wh <= 2000,
            emergency_taken: false,
        };
    }

    /** One answer: {status, body}. Throws Refusal. */
    answer(method, path, query, headers, text) {
        const parts = path.split('/');
        const route = `${method} ${parts[0]}${parts.length > 1 ? '/ID' : ''}${parts[2] ? `/${parts[2]}` : ''}`;
        const handlers = {
            'GET operator': () => ({ name: this.#operator(headers) }),
            'GET orders': () => {
                this.#operator(headers);
                return { orders: this.#newest(this.orders, query).map((order) => this.#orderBody(order, false)) };
            },
            'GET orders/ID': () => {
                this.#operator(headers);
                return { order: this.#orderBody(this.#find(this.orders, parts[1], 'order'), true) };
            },
            'POST orders': () => this.#once(headers, text, ORDER_MEMBERS, (body) => this.#order(body)),
            'POST orders/ID/withdraw': () => this.#withdraw(headers, parts[1]),
            'GET purchases': () => {
                this.#operator(headers);
                this.#step();
                return { purchases: this.#newest(this.purchases, query).map((entry) => this.#saleBody(entry)) };
            },
            'GET purchases/ID': () => {
                this.#operator(headers);
                this.#step();
                return { purchase: this.#saleBody(this.#find(this.purchases, parts[1], 'purchase')) };
            },
            'POST purchases': () => this.#once(headers, text, SALE_MEMBERS, (body) => this.#vend(body)),
            'POST purchases/ID/void': () => this.#void(headers, parts[1]),
            'GET tariffs': () => ({ tariffs: [TARIFF] }),
            'GET books': () => {
                this.#operator(headers);
                return this.#books();
            },
        };
        const operator = () => this.#operator(headers);
        const handler =
            handlers[route] ??
            this.commissioning.handler(route, parts, query, operator, text) ??
            this.joins.handler(route, parts, query, operator, text);
        if (!handler) {
            throw new Refusal(404, `no such resource: /api/v1/${path}`);
        }
        const body = handler();
        return body.status ? body : { status: 200, body };
    }

    #operator(headers) {
        const name = this.operators.get(/^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1]);
        if (!name) {
            throw new Refusal(401, 'give an operator\'s token: "Authorization: Bearer TOKEN"');
        }
        return name;
    }

    /** A change with a request id: made once, and told again when it is repeated. */
    #once(headers, text, members, make) {
        this.#operator(headers);
        let body;
        try {
            body = JSON.parse(text);
        } catch {
            throw new Refusal(400, 'the body is not JSON');
        }
        const unknown = Object.keys(body).find((name) => !members.includes(name));
        if (unknown || text.length > BODY_BYTES_MAX) {
            throw new Refusal(400, unknown ? `"${unknown}" is not known here` : 'the body is too large');
        }
        if (typeof body.request !== 'string' || !/^.{1,64}$/.test(body.request)) {
            throw new Refusal(400, '"request" must have 1 to 64 characters');
        }
        const before = this.requests.get(body.request);
        if (before && before.content !== text) {
            throw new Refusal(409, 'this request id was used for something else');
        }
        const made = before?.made ?? make(body);
        this.requests.set(body.request, { content: text, made });
        const isSale = members === SALE_MEMBERS;
        return {
            status: before ? 200 : 201,
            body: isSale ? { purchase: this.#saleBody(made) } : { order: this.#orderBody(made, false) },
        };
    }

    #newest(list, query) {
        return list.slice(-Number(query.get('limit') ?? 100)).reverse();
    }

    #find(list, id, what) {
        const found = list.find((entry) => String(entry.id) === id);
        if (!found) {
            throw new Refusal(404, `no such ${what}: ${id}`);
        }
        return found;
    }

    #meter(name) {
        const found = this.world.meters.filter(
            (meter) => meter.id === name || `${meter.node}/${meter.channel + 1}` === name,
        );
        if (found.length !== 1) {
            throw new Refusal(404, `${found.length ? 'more than one' : 'no'} meter is called ${name}`);
        }
        return found[0];
    }

    #targets(target, kind) {
        const isForMeter = METER_KINDS.includes(kind);
        const ofNodes = (macs) =>
            isForMeter
                ? this.world.meters.filter((meter) => macs.includes(meter.node))
                : macs.map((mac) => ({ node: mac, channel: null, id: null }));
        const whole = /^(node|gateway|site):(.*)$/.exec(target)?.slice(1);
        const [type, rest] = whole ?? [target === 'all' ? 'all' : 'meter', target];
        const found = {
            node: () => ofNodes(this.world.macs.filter((mac) => mac === rest)),
            gateway: () => ofNodes(rest === 'house4' ? [this.world.macs[0]] : []),
            site: () => ofNodes(rest === 'house4' ? this.world.macs : []),
            all: () => ofNodes(this.world.macs),
            meter: () => (isForMeter ? [this.#meter(rest)] : []),
        }[type]();
        if (found.length === 0) {
            throw new Refusal(400, `${kind} is not for ${target}, or it has no node`);
        }
        return found;
    }

    #order({ request, target, kind, arguments: values = {}, priority = 5, expires_s = 0 }) {
        if (!METER_KINDS.includes(kind) && !NODE_KINDS.includes(kind)) {
            throw new Refusal(400, `there is no kind "${kind}"`);
        }
        const targets = this.#targets(target, kind);
        const keyless = targets.find((entry) => this.keyless.has(entry.node));
        if (keyless) {
            throw new Refusal(400, `HQ has no key of node ${keyless.node}: meshmeter key add ${keyless.node}`);
        }
        const commands = targets.map((entry) => ({
            id: (this.commandCount += 1),
            site: 'house4',
            node: entry.node,
            channel: entry.channel,
            meter: entry.id,
            state: 'queued',
            created: this.now(),
            sent: 0,
            accepted: 0,
            ended: 0,
            status: '',
            detail: '',
        }));
        const { password, ...shown } = values;
        const order = {
            id: this.orders.length + 1,
            request,
            operator: OPERATOR_NAME,
            created: this.now(),
            target,
            kind,
            arguments: shown,
            priority,
            not_after: expires_s ? this.now() + expires_s : 0,
            commands,
        };
        this.orders.push(order);
        return order;
    }

    /** One step further with every look at one order or at the list; the silent third node never answers. */
    #progress(order) {
        if (this.holdsOrders) {
            return;
        }
        for (const command of order.commands) {
            const isSilent = command.node === this.world.macs[2];
            const next = { queued: 'sent', sent: isSilent ? 'sent' : 'accepted', accepted: 'done' }[command.state];
            if (next && next !== command.state) {
                command.state = next;
                command[next === 'done' ? 'ended' : next] = this.now();
                if (next === 'done') {
                    this.#execute(order, command);
                }
            }
        }
    }

    #execute(order, command) {
        const meter = this.world.meters.find(
            (entry) => entry.node === command.node && entry.channel === command.channel,
        );
        command.status = 'done';
        if (order.kind === 'lock') {
            meter.reasons.add('locked');
        } else if (order.kind === 'unlock') {
            meter.reasons.delete('locked');
        } else if (order.kind === 'limits' && !meter.prepaid) {
            Object.assign(command, { state: 'refused', status: 'state' });
        } else if (order.kind === 'format') {
            command.detail = order.arguments.code ? '' : { code: Number(digits(command.id, 6)) };
        } else if (order.kind === 'read_log') {
            command.detail = `I (41) boot 4\nI (907) clock set\nW (1204) <b>session</b> refused ${HOSTILE_ID}`;
        } else if (order.kind === 'ota_start') {
            Object.assign(command, { state: 'refused', status: 'unsupported' });
        }
    }

    #orderBody(order, withCommands) {
        this.#progress(order);
        const states = {};
        order.commands.forEach(({ state }) => {
            states[state] = (states[state] ?? 0) + 1;
        });
        const { commands, ...rest } = order;
        return { ...rest, states, ...(withCommands ? { commands } : {}) };
    }

    #withdraw(headers, id) {
        this.#operator(headers);
        const waiting = this.#find(this.orders, id, 'order').commands.filter(({ state }) => state === 'queued');
        waiting.forEach((command) => Object.assign(command, { state: 'withdrawn', ended: this.now() }));
        return { withdrawn: waiting.length };
    }

    #vend({ request, meter: name, energy_wh, money_minor }) {
        const meter = this.#meter(name);
        if (!meter.prepaid) {
            throw new Refusal(400, `${name} is postpaid: order the mode prepaid first`);
        }
        if (this.purchases.filter((entry) => entry.meter === meter.id && entry.state === 'issued').length >= OPEN_MAX) {
            throw new Refusal(400, `${name} has ${OPEN_MAX} sales that it has not taken yet`);
        }
        const amount_wh = energy_wh ?? Math.floor(money_minor / TARIFF.bands[0].price_minor_per_kwh) * TOKEN_UNIT_WH;
        if (!Number.isInteger(amount_wh) || amount_wh <= 0 || amount_wh % TOKEN_UNIT_WH !== 0) {
            throw new Refusal(400, `${amount_wh} Wh are not whole units of ${TOKEN_UNIT_WH} Wh`);
        }
        const sold = this.#sell(meter, amount_wh, request, money_minor ?? (amount_wh / 1000) * 32);
        sold.remainder_milli = money_minor ? (money_minor % 32) * 1000 : 0;
        return sold;
    }

    #sell(meter, energy_wh, request, money_minor) {
        const id = this.purchases.length + 1;
        const isLong = energy_wh > 995 * TOKEN_UNIT_WH;
        const purchase = {
            id,
            request,
            operator: OPERATOR_NAME,
            created: this.now(),
            meter: meter.id,
            site: 'house4',
            node: meter.node,
            channel: meter.channel,
            state: 'issued',
            energy_wh,
            count: 2 * id,
            token: digits(id, isLong ? 12 : 9),
            token_restricted: digits(id, isLong ? 20 : 15, '1234'),
            currency: 'EUR',
            decimals: 2,
            money_minor,
            tax_minor: Math.floor((money_minor * 19) / 119),
            remainder_milli: 0,
            ended: 0,
            by: '',
            steps: 0,
        };
        this.purchases.push(purchase);
        return purchase;
    }

    #apply(purchase, way) {
        const meter = this.world.meters.find((entry) => entry.id === purchase.meter);
        meter.balance_wh += purchase.energy_wh;
        if (meter.balance_wh > 0) {
            meter.reasons.delete('no_credit');
        }
        Object.assign(purchase, { state: 'applied', by: way, ended: this.now() });
    }

    /** Sales go on when somebody looks; those for the silent node wait. */
    #step() {
        for (const purchase of this.purchases) {
            purchase.steps += 1;
            if (purchase.steps >= STEPS_TO_APPLY && purchase.node !== this.world.macs[2]) {
                if (purchase.state === 'issued' && !this.holdsSales) {
                    this.#apply(purchase, 'network');
                } else if (purchase.state === 'voiding') {
                    Object.assign(purchase, { state: 'void', ended: this.now() });
                }
            }
        }
    }

    #saleBody({ steps, ...purchase }) {
        return purchase;
    }

    #void(headers, id) {
        this.#operator(headers);
        const purchase = this.#find(this.purchases, id, 'purchase');
        if (purchase.state !== 'issued') {
            throw new Refusal(409, `sale ${id} is ${purchase.state}: only what the meter has not taken can be void`);
        }
        Object.assign(purchase, { state: 'voiding', steps: 0 });
        return { purchase: this.#saleBody(purchase) };
    }

    #books() {
        const meters = this.prepaidMeters().map((meter, index) => {
            const sum = (...states) =>
                this.purchases
                    .filter((entry) => entry.meter === meter.id && states.includes(entry.state))
                    .reduce((total, entry) => total + entry.energy_wh, 0);
            const applied_wh = sum('applied');
            const isWrong = this.unbalanced && index === 0;
            const isLate = index === 2;
            return {
                site: 'house4',
                node: meter.node,
                channel: meter.channel,
                meter: meter.id,
                issued_wh: sum('issued', 'voiding', 'applied', 'void', 'lost') + (isWrong ? 5000 : 0),
                applied_wh,
                pending_wh: sum('issued', 'voiding'),
                void_wh: sum('void'),
                lost_wh: sum('lost'),
                other_wh: 0,
                balance_wh: meter.balance_wh,
                consumed_wh: applied_wh - meter.balance_wh - (isLate ? 37 : 0),
                sold_difference_wh: isWrong ? 5000 : 0,
                used_difference_wh: isLate ? 37 : 0,
                settled: !isLate,
            };
        });
        const sum = this.purchases.reduce((total, entry) => total + entry.money_minor, 0);
        const issued_wh = this.purchases.reduce((total, entry) => total + entry.energy_wh, 0);
        return {
            balanced: !this.unbalanced,
            meters,
            ledger: [
                { unit: 'EUR', debits: sum * 1000, credits: sum * 1000 },
                { unit: 'Wh', debits: issued_wh, credits: issued_wh + (this.unbalanced ? 5000 : 0) },
            ],
        };
    }
}
