// SPDX-License-Identifier: Apache-2.0
// The page: what is shown is a function of the address (#/…) and of the feed's last state.

import {
    html,
    render,
    useEffect,
    useErrorBoundary,
    useLayoutEffect,
    useMemo,
    useState,
} from './vendor/htm-preact.module.js';
import { Feed } from './api.js';
import { Books } from './books.js';
import { Commands } from './compose.js';
import { visible } from './format.js';
import { Banner, Footer, Header } from './header.js';
import { Installations } from './installations.js';
import { Installers } from './installers.js';
import { MeterDetail } from './meter_detail.js';
import { Meters } from './meters.js';
import { Nodes } from './nodes.js';
import { OrderDetail } from './orders.js';
import { Quarantine } from './records.js';
import { linkTo, parseRoute } from './route.js';
import { Receipt } from './sales.js';
import { Sell } from './sell.js';
import { session, useSession } from './session.js';
import { SignIn } from './sign_in.js';
import { parseTz, UTC } from './tz.js';

const STORED_SITE = 'meshmeter.site';

function storedSite() {
    try {
        return localStorage.getItem(STORED_SITE);
    } catch {
        return null; // storage is switched off
    }
}

function storeSite(site) {
    try {
        localStorage.setItem(STORED_SITE, site);
    } catch {
        // Then the choice lasts as long as the address.
    }
}

function useRoute() {
    const [route, setRoute] = useState(() => parseRoute(location.hash));
    useEffect(() => {
        const follow = () => setRoute(parseRoute(location.hash));
        window.addEventListener('hashchange', follow);
        return () => window.removeEventListener('hashchange', follow);
    }, []);
    return route;
}

function useFeed(route) {
    const [feed] = useState(() => new Feed(() => {}));
    const [state, setState] = useState(feed.state);
    useEffect(() => {
        if (route.site) {
            storeSite(route.site);
        }
        feed.select(route.site ?? storedSite(), route.view === 'meter' ? route.node : null);
    }, [route]);
    useEffect(() => {
        feed.onChange = setState;
        feed.start();
        return () => feed.stop();
    }, []);
    return [feed, state];
}

/** Renders once a second, so that ages and the clock move. */
function useSeconds() {
    const [, setSecond] = useState(0);
    useEffect(() => {
        const timer = setInterval(() => setSecond((second) => second + 1), 1000);
        return () => clearInterval(timer);
    }, []);
}

function zoneOf(data) {
    const text = data?.sites.find((site) => site.site === data.site)?.tz;
    try {
        return { tz: parseTz(text), tzError: null };
    } catch (error) {
        return { tz: UTC, tzError: error.message };
    }
}

/** HQ's clock now, as far as it can be told from its last answer. It may run faster than ours (`speed`). */
function clockOf(data) {
    const { time, speed } = data.status;
    return time + ((performance.now() - data.receivedMs) / 1000) * (Number(speed) > 0 ? Number(speed) : 1);
}

function NoSite({ status }) {
    return html`<section class="panel empty">
        <h2>No site has reported yet</h2>
        ${
            status.broker?.connected === false
                ? html`<p>HQ is not connected to its broker, so nothing can arrive. Check that the broker runs
                      and that HQ's
                option <code>--broker</code> names it; HQ tries again by itself.</p>`
                : html`<p>HQ is connected to its broker and waits. A site appears here with the first
                      message of its root.</p>
                <ul>
                    <li>Start a node: <code>meshmeter node --config FILE</code>; its site, broker and time zone
                          are in that file.</li>
                    <li>Or try a whole site on this machine: <code>./run</code>.</li>
                    ${
                        Number(status.database?.quarantined) > 0 &&
                        html`<li>Something arrived that could not be decoded:
                        <a href="#/quarantine">look at the quarantine</a>.</li>`
                    }
                </ul>`
        }
    </section>`;
}

/** Title; view; why it asks for an operator; whether it shows something without one. */
const OPERATOR_VIEWS = {
    'sign-in': ['Sign in', SignIn],
    commands: ['Commands', Commands, 'Operators give commands and see what was ordered.', false],
    order: ['Order', OrderDetail, 'Operators see what was ordered.', false],
    sell: ['Sell', Sell, 'Credit is sold by operators, and sales show tokens.', false],
    sale: ['Sale', Receipt, 'A receipt shows its token to operators only.', false],
    books: ['Books', Books, 'The books are for operators.', false],
    installers: ['Installers', Installers, 'Codes for installers are given by operators.', false],
    installations: ['Installations', Installations, 'Installations are confirmed by operators.', false],
};

/** A view; above it or in its place the sign-in, if it is wanted or has ended. */
function Content({ route, ...rest }) {
    const { token, notice } = useSession();
    useEffect(() => () => session.forgetNotice(), [route]); // it belongs to the view in which it came
    const [, View = Main, why, isReadable = true] = Object.hasOwn(OPERATOR_VIEWS, route.view)
        ? OPERATOR_VIEWS[route.view]
        : [];
    const isAsked = token === null && View !== SignIn && Boolean(why || notice);
    return html`${isAsked && html`<${SignIn} key="sign-in" why=${why} />`}
        ${(isReadable || !isAsked) && html`<${View} key=${route.view} route=${route} id=${route.id} ...${rest} />`}`;
}

function Main({ route, data, tz, now_s, revision }) {
    if (route.view === 'quarantine') {
        return html`<${Quarantine} tz=${tz} revision=${revision} site=${data.site} />`;
    }
    if (data.site === null && route.view !== 'meter') {
        return html`<${NoSite} status=${data.status} />`;
    }
    const common = { data, tz, now_s };
    if (route.view === 'meter') {
        return html`<div class="split">
            <${Meters} ...${common} compact=${true} selected=${route} />
            <${MeterDetail} key=${`${route.node}/${route.channel}`} ...${common} node=${route.node}
                channel=${route.channel}
                revision=${revision} />
        </div>`;
    }
    return html`<${Nodes} ...${common} revision=${revision} /><${Meters} ...${common} />`;
}

function Page() {
    const route = useRoute();
    const [feed, { data, failure, revision }] = useFeed(route);
    useSeconds();
    const zoneText = data?.sites.find((site) => site.site === data.site)?.tz;
    const { tz, tzError } = useMemo(() => zoneOf(data), [zoneText]);
    const now_s = data ? clockOf(data) : 0;

    useEffect(() => {
        const meter =
            route.view === 'meter' &&
            data?.meters.find((entry) => entry.node === route.node && entry.channel === route.channel);
        const page = Object.hasOwn(OPERATOR_VIEWS, route.view) ? `${OPERATOR_VIEWS[route.view][0]} · ` : '';
        document.title = meter?.id ? `${visible(meter.id)} · meshmeter HQ` : `${page}meshmeter HQ`;
    }, [route, revision]);
    // From meter to meter the place is kept, for comparing; another view begins at its top.
    useLayoutEffect(() => window.scrollTo(0, 0), [route.view]);
    useEffect(() => {
        const back = (event) => {
            const isFree = ['meter', 'quarantine'].includes(route.view) && !event.target.closest?.('dialog');
            if (event.key === 'Escape' && isFree && !event.defaultPrevented) {
                location.hash = linkTo.site(data?.site);
            }
        };
        window.addEventListener('keydown', back);
        return () => window.removeEventListener('keydown', back);
    }, [route, data?.site]);

    return html`
        <a class="skip" href="#main" onClick=${skipToMain}>To the content</a>
        <${Header} data=${data} failure=${failure} tz=${tz} tzError=${tzError} now_s=${now_s}
            view=${route.view} />
        <${Banner} failure=${failure} hasData=${data !== null} onRetry=${() => feed.refresh()} />
        <main id="main" tabindex="-1" class=${failure && data ? 'is-old' : ''}>
            ${
                data
                    ? html`<${Content} route=${route} data=${data} tz=${tz} now_s=${now_s} revision=${revision} />`
                    : html`<p class="starting">${failure ? 'Nothing to show yet.' : 'Asking HQ …'}</p>`
            }
        </main>
        ${data && html`<${Footer} data=${data} tz=${tz} />`}`;
}

function skipToMain(event) {
    // The address is the page's state, so the link must not change it.
    event.preventDefault();
    document.getElementById('main').focus();
}

function App() {
    const [error] = useErrorBoundary((cause) => console.error(cause));
    if (error) {
        return html`<main><section class="panel empty"><h2>The page has failed</h2>
            <p>${visible(error.message)}</p><p>HQ itself is not affected. <a
                href=${location.pathname}>Load the page again</a>.</p>
        </section></main>`;
    }
    return html`<${Page} />`;
}

session.resume();
const root = document.getElementById('app');
root.replaceChildren();
render(html`<${App} />`, root);
