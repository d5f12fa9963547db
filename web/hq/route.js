// SPDX-License-Identifier: Apache-2.0
// The address of a view: #/site/NAME, #/meter/MAC/CHANNEL, #/quarantine; anything else is the overview.

// MACs stay readable.
const encode = (text) => encodeURIComponent(text).replaceAll('%3A', ':');

export const linkTo = {
    site: (site) => (site === null || site === undefined ? '#/' : `#/site/${encode(site)}`),
    meter: (node, channel) => `#/meter/${encode(node)}/${channel}`,
    quarantine: () => '#/quarantine',
};

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
    if (parts[0] === 'meter' && parts.length === 3 && parts[1] !== '' && /^\d{1,3}$/.test(parts[2])) {
        return { view: 'meter', node: parts[1], channel: Number(parts[2]), site: null };
    }
    if (parts[0] === 'site' && parts.length === 2 && parts[1] !== '') {
        return { view: 'overview', site: parts[1] };
    }
    return { view: parts[0] === 'quarantine' ? 'quarantine' : 'overview', site: null };
}
