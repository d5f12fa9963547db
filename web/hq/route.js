// SPDX-License-Identifier: Apache-2.0
// The address of a view: #/site/NAME, #/meter/MAC/CHANNEL, #/quarantine, #/commands[/ID or /for/MAC/CHANNEL],
// #/sell[/MAC/CHANNEL], #/sales/ID, #/books, #/installers, #/installations, #/sign-in; anything else is the overview.

// MACs stay readable.
const encode = (text) => encodeURIComponent(text).replaceAll('%3A', ':');

export const linkTo = {
    site: (site) => (site === null || site === undefined ? '#/' : `#/site/${encode(site)}`),
    meter: (node, channel) => `#/meter/${encode(node)}/${channel}`,
    quarantine: () => '#/quarantine',
    commands: () => '#/commands',
    commandsFor: (node, channel) => `#/commands/for/${encode(node)}/${channel}`,
    order: (id) => `#/commands/${encode(String(id))}`,
    sell: () => '#/sell',
    sellTo: (node, channel) => `#/sell/${encode(node)}/${channel}`,
    sale: (id) => `#/sales/${encode(String(id))}`,
    books: () => '#/books',
    installers: () => '#/installers',
    installations: () => '#/installations',
    signIn: () => '#/sign-in',
};

const isMeter = (node, channel) => Boolean(node) && /^\d{1,3}$/.test(channel ?? '');
const isId = (text) => /^\d{1,19}$/.test(text ?? '');

const PLAIN = ['commands', 'sell', 'books', 'installers', 'installations', 'sign-in'];

/** Views that have one thing at most, or a form for one meter; null for others. */
function operatorRoute(parts) {
    const rest = parts.slice(1);
    const plain = { view: parts[0], site: null, id: null, meter: null };
    const forMeter = (node, channel) => ({ ...plain, meter: `${node}/${Number(channel)}` });
    if (PLAIN.includes(parts[0]) && rest.length === 0) {
        return plain;
    }
    if (parts[0] === 'commands' && rest[0] === 'for' && rest.length === 3 && isMeter(rest[1], rest[2])) {
        return forMeter(rest[1], rest[2]);
    }
    if (parts[0] === 'sell' && rest.length === 2 && isMeter(rest[0], rest[1])) {
        return forMeter(rest[0], rest[1]);
    }
    if (rest.length === 1 && isId(rest[0]) && ['commands', 'sales'].includes(parts[0])) {
        return { ...plain, view: parts[0] === 'commands' ? 'order' : 'sale', id: rest[0] };
    }
    return null;
}

export function parseRoute(hash) {
    let parts;
    try {
        parts = hash
            .replace(/^#?\/?/, '')
            .split('/')
            .map(decodeURIComponent);
    } catch {
        parts = [];
    }
    const operator = operatorRoute(parts);
    if (operator) {
        return operator;
    }
    if (parts[0] === 'meter' && parts.length === 3 && isMeter(parts[1], parts[2])) {
        return { view: 'meter', node: parts[1], channel: Number(parts[2]), site: null };
    }
    if (parts[0] === 'site' && parts.length === 2 && parts[1] !== '') {
        return { view: 'overview', site: parts[1] };
    }
    return { view: parts[0] === 'quarantine' ? 'quarantine' : 'overview', site: null };
}
