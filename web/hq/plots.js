// SPDX-License-Identifier: Apache-2.0
// The two plots of a meter. uPlot draws; here is what it cannot know: intervals of unequal length, the site's time
// zone, and that a zoom outlives an update.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/htm-preact.module.js';
import uPlot from './vendor/uPlot.esm.js';
import { formatAxis, formatCount, formatDuration, formatKwh } from './format.js';
import { formatSpan, formatTime, formatZone, localFromUtc, localMarks, MONTHS, WEEKDAYS } from './tz.js';

const FONT = '11px system-ui, sans-serif';
const DARK = matchMedia('(prefers-color-scheme: dark)');

function useTheme() {
    const [dark, setDark] = useState(DARK.matches);
    useEffect(() => {
        const follow = () => setDark(DARK.matches);
        DARK.addEventListener('change', follow);
        return () => DARK.removeEventListener('change', follow);
    }, []);
    return dark ? 'dark' : 'light';
}

function colours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    return {
        text: colour('--muted'),
        grid: colour('--grid'),
        line: colour('--accent'),
        fill: colour('--accent-fill'),
        other: colour('--thinned'),
        otherFill: colour('--thinned-fill'),
        bar: colour('--bar'),
    };
}

/** Room for the longest number of an axis. */
function axisSize(self, values) {
    const longest = (values ?? []).reduce((length, text) => Math.max(length, String(text).length), 0);
    return 14 + longest * 6.6;
}

/**
 * One uPlot in a box whose width it follows. `make(colours)` gives options without size and data; it is called again
 * when `identity` or the theme changes. `data` changes are drawn into what is there; a zoomed x axis stays where it is.
 */
function Plot({ identity, make, data, label, height, canZoom = false }) {
    const box = useRef(null);
    const plot = useRef(null);
    const [isZoomed, setZoomed] = useState(false);
    const zoomed = useRef(false);
    const theme = useTheme();
    const setZoom = (value) => {
        zoomed.current = value;
        setZoomed(value);
    };

    useLayoutEffect(() => {
        const options = make(colours());
        const created = new uPlot(
            {
                ...options,
                width: Math.max(box.current.clientWidth, 120),
                height,
                legend: { show: false },
                cursor: {
                    points: { show: false },
                    drag: { x: canZoom, y: false, setScale: canZoom },
                    y: false,
                    ...options.cursor,
                },
                hooks: {
                    ...options.hooks,
                    setSelect: [(self) => self.select.width > 0 && setZoom(true)],
                    setScale: [
                        (self, key) => {
                            if (key === 'x') {
                                box.current?.setAttribute('data-range', `${self.scales.x.min} ${self.scales.x.max}`);
                            }
                        },
                    ],
                },
            },
            data,
            box.current,
        );
        const unzoom = () => setZoom(false); // uPlot itself resets the axis
        created.over.addEventListener('dblclick', unzoom);
        const observer = new ResizeObserver(() => {
            const width = box.current?.clientWidth ?? 0;
            if (width > 0 && width !== created.width) {
                created.setSize({ width, height });
            }
        });
        observer.observe(box.current);
        plot.current = created;
        setZoom(false);
        return () => {
            observer.disconnect();
            created.destroy();
            plot.current = null;
        };
    }, [identity, theme]);

    useLayoutEffect(() => {
        const current = plot.current;
        if (!current || current.data === data) {
            return;
        }
        if (zoomed.current) {
            const { min, max } = current.scales.x;
            current.setData(data, false);
            current.setScale('x', { min, max }); // fits y to what is seen
        } else {
            current.setData(data, true);
        }
    }, [data]);

    const reset = () => {
        setZoom(false);
        plot.current?.setData(data, true);
    };
    return html`<div class="plot">
        <div class="plot-box" ref=${box} role="img" aria-label=${label}></div>
        ${isZoomed && html`<button type="button" class="quiet plot-reset" onClick=${reset}>Reset zoom</button>`}
    </div>`;
}

const twoDigits = (value) => String(value).padStart(2, '0');

export function hourName(hour) {
    return `${twoDigits(hour)}:00–${twoDigits(hour + 1)}:00`;
}

/** Energy by hour of the day, summed over one month. */
export function HoursPlot({ identity, hours_wh, monthName, height }) {
    const [hour, setHour] = useState(null);
    const values = (hours_wh ?? []).map(Number);
    const data = useMemoData([values.map((_, index) => index), values.map((value) => value / 1000)]);
    const make = (colour) => ({
        scales: {
            x: { time: false, range: [-0.7, 23.7] },
            y: { range: (self, min, max) => [0, max > 0 ? max * 1.08 : 1] },
        },
        series: [
            {},
            {
                stroke: colour.line,
                fill: colour.bar,
                width: 0,
                points: { show: false },
                paths: uPlot.paths.bars({ size: [0.78, 44], radius: 0.12 }),
            },
        ],
        axes: [
            {
                stroke: colour.text,
                font: FONT,
                grid: { show: false },
                ticks: { show: false },
                size: 26,
                space: 24,
                incrs: [1, 2, 3, 6, 12],
                values: (self, splits) => splits.map((split) => (split >= 0 && split < 24 ? twoDigits(split) : '')),
            },
            {
                stroke: colour.text,
                font: FONT,
                grid: { stroke: colour.grid, width: 1 },
                ticks: { show: false },
                size: axisSize,
                values: (self, splits) => splits.map(formatAxis),
            },
        ],
        hooks: { setCursor: [(self) => setHour(self.cursor.left >= 0 ? (self.cursor.idx ?? null) : null)] },
    });
    const shown = hour !== null && hours_wh?.[hour] !== undefined;
    return html`<p class="readout">${
        shown
            ? html`<strong>${hourName(hour)}</strong> <span>${formatKwh(hours_wh[hour])} kWh</span>`
            : html`<span class="muted">kWh by hour of the day, ${monthName}</span>`
    }</p>
        <${Plot} identity=${identity} make=${make} data=${data} height=${height}
            label=${`Bars: energy of ${monthName} by hour of the day. The table below has the numbers.`} />`;
}

/** The same array as before if its numbers are the same: uPlot redraws only what changed. */
function useMemoData(data) {
    const kept = useRef(data);
    const text = JSON.stringify(data);
    const keptText = useRef(text);
    if (keptText.current !== text) {
        kept.current = data;
        keptText.current = text;
    }
    return kept.current;
}

/** Rows of the API as named values, oldest first, without those whose time is not known. */
export function readIntervals(rows) {
    return rows
        .map(([end_s, duration_s, energy_wh, pulses, trust, thinned]) => ({
            start_s: end_s - duration_s,
            end_s,
            duration_s,
            energy_wh,
            pulses,
            trust,
            thinned: Number(thinned) === 1,
            power_w: duration_s > 0 ? (Number(energy_wh) * 3600) / duration_s : 0,
        }))
        .filter((interval) => interval.duration_s > 0);
}

/** Draws each interval over its own length: a step of its mean power, nothing where there is no interval. */
function intervalPaths(intervals) {
    return (self, seriesIndex, first, last) => {
        const stroke = new Path2D();
        const fill = new Path2D();
        const values = self.data[seriesIndex];
        const zero = self.valToPos(0, 'y', true);
        let penAt_s = null;
        for (let index = first; index <= last; index += 1) {
            const interval = intervals.current[index];
            if (values[index] === null || values[index] === undefined || !interval) {
                continue;
            }
            const left = self.valToPos(interval.start_s, 'x', true);
            const right = self.valToPos(interval.end_s, 'x', true);
            const top = self.valToPos(values[index], 'y', true);
            if (penAt_s === interval.start_s) {
                stroke.lineTo(left, top);
            } else {
                stroke.moveTo(left, top);
            }
            stroke.lineTo(right, top);
            fill.rect(left, top, right - left, zero - top);
            penAt_s = interval.end_s;
        }
        return { stroke, fill, clip: null, band: null, gaps: null, flags: 1 | 2 };
    };
}

function intervalData(intervals) {
    const starts = intervals.map((interval) => interval.start_s);
    const ends_s = intervals.at(-1)?.end_s;
    // The last point has no value: it makes the axis reach to the end of the last interval.
    return [
        [...starts, ...(ends_s === undefined ? [] : [ends_s])],
        [...intervals.map((interval) => (interval.thinned ? null : interval.power_w)), null].slice(
            0,
            starts.length + 1,
        ),
        [...intervals.map((interval) => (interval.thinned ? interval.power_w : null)), null].slice(
            0,
            starts.length + 1,
        ),
    ];
}

/** Index of the interval that contains a time, or null. */
function intervalAt(intervals, at_s) {
    let [low, high] = [0, intervals.length - 1];
    while (low <= high) {
        const middle = (low + high) >> 1;
        if (intervals[middle].start_s > at_s) {
            high = middle - 1;
        } else if (intervals[middle].end_s <= at_s) {
            low = middle + 1;
        } else {
            return middle;
        }
    }
    return null;
}

/**
 * Which days marks name, so that dates do not run into each other where marks are dense: every mark at midnight, and
 * the first.
 */
function markTexts(tz, marks) {
    const locals = marks.map((mark) => localFromUtc(tz, mark));
    const isMidnight = locals.map((local) => local.hour === 0 && local.minute === 0);
    const dates = locals.map((local) => `${WEEKDAYS[local.weekday]} ${local.day} ${MONTHS[local.month - 1]}`);
    if (isMidnight.every(Boolean)) {
        return dates;
    }
    const firstMidnight = isMidnight.indexOf(true);
    const hasRoom = firstMidnight === -1 || firstMidnight > 1;
    return marks.map(
        (mark, index) =>
            `${formatTime(tz, mark)}\n${isMidnight[index] || (index === 0 && hasRoom) ? dates[index] : ''}`,
    );
}

function IntervalReadout({ interval, tz }) {
    const span = `${formatSpan(tz, interval.start_s, interval.end_s)} ${formatZone(tz, interval.start_s)}`;
    return html`<strong>${span}</strong>
        <span>${formatCount(Math.round(interval.power_w))} W</span>
        <span>${formatKwh(interval.energy_wh)} kWh</span>
        ${interval.thinned && html`<span class="badge thinned">thinned, ${formatDuration(interval.duration_s)}</span>`}
        ${interval.trust === 'held' && html`<span class="badge warn">clock held</span>`}
        ${interval.trust === 'unset' && html`<span class="badge warn">clock set later</span>`}`;
}

/** The load profile: mean power of each interval. */
export function IntervalsPlot({ identity, intervals, tz, height }) {
    const [at, setAt] = useState(null);
    const current = useRef(intervals);
    current.current = intervals;
    const data = useMemo(() => intervalData(intervals), [intervals]);
    const make = (colour) => ({
        // No time zone given to uPlot: it knows zones by name only. Its x axis is seconds, marks and texts are made
        // here.
        scales: { x: { time: false }, y: { range: (self, min, max) => [0, max > 0 ? max * 1.08 : 100] } },
        series: [
            {},
            {
                stroke: colour.line,
                fill: colour.fill,
                width: 1.25,
                paths: intervalPaths(current),
                points: { show: false },
            },
            {
                stroke: colour.other,
                fill: colour.otherFill,
                width: 1.25,
                paths: intervalPaths(current),
                points: { show: false },
                dash: [4, 3],
            },
        ],
        axes: [
            {
                stroke: colour.text,
                font: FONT,
                grid: { stroke: colour.grid, width: 1 },
                ticks: { stroke: colour.grid, width: 1, size: 4 },
                size: 40,
                splits: (self, axis, min, max) =>
                    localMarks(tz, min, max, Math.max(2, Math.floor(self.bbox.width / devicePixelRatio / 78))),
                values: (self, splits) => markTexts(tz, splits),
            },
            {
                stroke: colour.text,
                font: FONT,
                grid: { stroke: colour.grid, width: 1 },
                ticks: { show: false },
                size: axisSize,
                values: (self, splits) => splits.map(formatAxis),
            },
        ],
        hooks: { setCursor: [(self) => setAt(self.cursor.left >= 0 ? self.posToVal(self.cursor.left, 'x') : null)] },
    });
    const index = at === null ? null : intervalAt(intervals, at);
    return html`<p class="readout">${
        index !== null
            ? html`<${IntervalReadout} interval=${intervals[index]} tz=${tz} />`
            : html`<span class="muted">${at === null ? 'Mean power in W; drag to zoom' : 'no interval at this time'}
                </span>`
    }</p>
        <${Plot} identity=${identity} make=${make} data=${data} height=${height} canZoom=${true}
            label="Load profile: mean power of each interval. The table below has the numbers." />`;
}
