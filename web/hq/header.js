// SPDX-License-Identifier: Apache-2.0
// Head and foot of the page: which site, how HQ is doing, and what the page itself cannot do at the moment.

import { html } from './vendor/htm-preact.module.js';
import { formatCount, formatDuration, visible } from './format.js';
import { isoTime } from './parts.js';
import { linkTo } from './route.js';
import { Account } from './sign_in.js';
import { formatDateTime, formatZone } from './tz.js';

function Figure({ label, value, tone = '', href = undefined, title = undefined }) {
    const content = html`<span class="figure-label">${label}</span><span class=${`figure-value ${tone}`}>${value}
        </span>`;
    return html`<li title=${title}>${href ? html`<a href=${href}>${content}</a>` : content}</li>`;
}

function SitePicker({ data }) {
    const choose = (event) => {
        location.hash = linkTo.site(event.currentTarget.value);
    };
    return html`<label class="picker"><span>Site</span>
        <select value=${data.site} onChange=${choose} disabled=${data.sites.length === 0}>
            ${data.sites.length === 0 && html`<option>none yet</option>`}
            ${data.sites.map(
                (entry) => html`<option key=${entry.site} value=${entry.site} selected=${entry.site === data.site}>
                ${visible(entry.site)}</option>`,
            )}
        </select></label>`;
}

function Clock({ data, tz, tzError, now_s }) {
    const speed = Number(data.status.speed);
    const zoneText = data.sites.find((entry) => entry.site === data.site)?.tz;
    return html`<div class="clock">
        <time datetime=${isoTime(Math.floor(now_s))}
            title=${zoneText ? `Time zone of the site: ${visible(zoneText)}` : 'UTC'}>
            ${formatDateTime(tz, now_s)}</time>
        <span class="zone">${visible(formatZone(tz, now_s))}</span>
        ${speed > 1 && html`<span class="badge neutral"
            title="All clocks of this system run faster">× ${formatCount(speed)}</span>`}
        ${tzError && html`<span class="badge warn" title=${visible(tzError)}>zone not understood, UTC shown</span>`}
    </div>`;
}

const OFFLINE =
    'HQ is not connected to its broker and tries again by itself. Nodes keep their records meanwhile.';

const PAGES = [
    ['Meters', (site) => linkTo.site(site), ['overview', 'meter', 'quarantine']],
    ['Commands', linkTo.commands, ['commands', 'order']],
    ['Sell', linkTo.sell, ['sell', 'sale']],
    ['Books', linkTo.books, ['books']],
    ['Installers', linkTo.installers, ['installers']],
    ['Installations', linkTo.installations, ['installations']],
];

function Pages({ view, site }) {
    return html`<nav class="pages" aria-label="Pages"><ul>${PAGES.map(
        ([name, link, views]) => html`<li key=${name}><a href=${link(site)}
            aria-current=${views.includes(view) ? 'page' : undefined}>${name}</a></li>`,
    )}</ul><${Account} /></nav>`;
}

export function Header({ data, failure, tz, tzError, now_s, view }) {
    const status = data?.status;
    const connected = status?.broker?.connected === true;
    return html`<header class="top">
        <a class="brand" href=${linkTo.site(data?.site)}>
            <img src="./icon.svg" alt="" width="24" height="24" /><span>meshmeter <b>HQ</b></span></a>
        ${
            data &&
            html`<${SitePicker} data=${data} />
        <ul class="figures" aria-label="State of HQ">
            <${Figure} label="HQ" value=${failure ? 'down' : 'up'} tone=${failure ? 'bad' : 'good'} />
            <${Figure} label="Broker" value=${connected ? 'connected' : 'offline'} tone=${connected ? 'good' : 'bad'}
                title=${connected ? undefined : OFFLINE} />
            <${Figure} label="Records" value=${formatCount(status.database?.records)} />
            <${Figure} label="Gaps" value=${formatCount(status.database?.gaps)}
                tone=${status.database?.gaps > 0 ? 'warn' : ''}
                title="Ranges of records that HQ does not have" />
            <${Figure} label="Quarantined" value=${formatCount(status.database?.quarantined)}
                href=${linkTo.quarantine()}
                tone=${status.database?.quarantined > 0 ? 'warn' : ''} title="Messages that could not be decoded" />
        </ul>
        <${Clock} data=${data} tz=${tz} tzError=${tzError} now_s=${now_s} />`
        }
    </header>
    <${Pages} view=${view} site=${data?.site} />`;
}

function clockTime(ms) {
    const date = new Date(ms);
    const time = date.toLocaleTimeString('en-GB');
    return date.toDateString() === new Date().toDateString() ? time : `${date.toDateString()} ${time}`;
}

export function Banner({ failure, hasData, onRetry }) {
    // The element stays, so that a screen reader notices when it gets a content.
    return html`<div role="status" class="banner-place">${
        failure &&
        html`<div class="banner">
        <div><strong>${failure.reached ? 'HQ answers with an error' : 'HQ cannot be reached'} since <time
            datetime=${new Date(failure.sinceMs).toISOString()}>${clockTime(failure.sinceMs)}</time></strong>
            <span> (${formatDuration((Date.now() - failure.sinceMs) / 1000)}): ${visible(failure.message)}.
            ${hasData ? ' The last known values are shown.' : ' Check that HQ runs (meshmeter status).'}
            ${` Next attempt in ${formatDuration(Math.max(0, failure.nextMs - Date.now()) / 1000)}.`}</span></div>
        <button type="button" onClick=${onRetry}>Try now</button>
    </div>`
    }</div>`;
}

export function Footer({ data, tz }) {
    const { status } = data;
    const last = status.broker?.last_message;
    return html`<footer class="bottom">
        <span>meshmeter ${visible(status.version ?? '')}</span>
        <span>${formatCount(status.database?.snapshots)} snapshots stored</span>
        <span>${formatCount(status.broker?.messages)} messages from the broker${
            last ? html`, the last one at ${formatDateTime(tz, last)}` : ''
        }</span>
        <span>${formatCount(status.ingest?.committed)} records committed since start, ${formatCount(
            status.ingest?.duplicates,
        )} duplicates ignored</span>
    </footer>`;
}
