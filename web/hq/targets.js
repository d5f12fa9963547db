// SPDX-License-Identifier: Apache-2.0
// Whom an order is for: from the form to the API's text, and in words.

import { formatCount, visible } from './format.js';

export const TARGET_TYPES = [
    ['meter', 'One meter'],
    ['node', 'One node'],
    ['gateway', 'The gateway of a site'],
    ['site', 'A whole site'],
    ['all', 'Everything'],
];

export const meterKey = (meter) => `${meter.node}/${meter.channel}`;
/** MAC/1…8, as people count and as the API takes it; meterKey counts from 0. */
export const meterAddress = (meter) => `${meter.node}/${meter.channel + 1}`;
export const isNamed = (meter) => typeof meter.id === 'string' && meter.id !== '' && !meter.legacy;

export function findMeter(meters, key) {
    return meters.find((meter) => meterKey(meter) === key) ?? null;
}

/** A meter as the API takes it: its id, or MAC/1…8 where the id is not its own, or looks like another target. */
export function meterName(meter, meters) {
    const isUnique = meters.filter((entry) => entry.id === meter.id).length === 1;
    return isUnique && isNamed(meter) && !/[:/]/.test(meter.id) && meter.id !== 'all'
        ? meter.id
        : meterAddress(meter);
}

/** Target of the form as the API's text; null if it is not complete. */
export function targetText(target, { meters }) {
    const meter = target.type === 'meter' ? findMeter(meters, target.meter) : null;
    const texts = {
        meter: meter && meterName(meter, meters),
        node: target.node && `node:${target.node}`,
        gateway: target.site && `gateway:${target.site}`,
        site: target.site && `site:${target.site}`,
        all: 'all',
    };
    return texts[target.type] || null;
}

function affected(target, { meters, nodes }, scope) {
    const known = (scope === 'meter' ? meters : nodes).filter((entry) => scope !== 'meter' || isNamed(entry));
    const macOf = (entry) => (scope === 'meter' ? entry.node : entry.mac);
    const roots = nodes.filter((node) => node.root && node.site === target.site).map((node) => node.mac);
    const tests = {
        meter: (entry) => meterKey(entry) === target.meter,
        node: (entry) => macOf(entry) === target.node,
        gateway: (entry) => roots.includes(macOf(entry)),
        site: (entry) => entry.site === target.site,
        all: () => true,
    };
    return target.type === 'meter' && scope !== 'meter' ? 1 : known.filter(tests[target.type]).length;
}

/** {what: in words, name: what it is called, count: how many nodes or meters as far as HQ knows} */
export function describeTarget(target, world, scope) {
    const count = affected(target, world, scope);
    const meter = target.type === 'meter' ? findMeter(world.meters, target.meter) : null;
    const names = {
        meter: meter ? visible(meter.id || meterAddress(meter)) : '',
        node: visible(target.node ?? ''),
        gateway: `the gateway of ${visible(target.site ?? '')}`,
        site: visible(target.site ?? ''),
        all: 'all',
    };
    const things = scope === 'meter' ? (count === 1 ? 'meter' : 'meters') : count === 1 ? 'node' : 'nodes';
    const whole = {
        meter: `meter ${names.meter}`,
        node: scope === 'meter' ? `${formatCount(count)} ${things} of node ${names.node}` : `node ${names.node}`,
        gateway: scope === 'meter' ? `${formatCount(count)} ${things} of ${names.gateway}` : names.gateway,
        site: `every ${scope} of site ${names.site} (${formatCount(count)} ${things})`,
        all: `every ${scope} of every site (${formatCount(count)} ${things})`,
    };
    return { what: whole[target.type], name: names[target.type], count };
}
