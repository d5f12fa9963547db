// SPDX-License-Identifier: Apache-2.0
// Civil time from UTC by a POSIX TZ string (IEEE Std 1003.1-2017, 8.3). The browser knows zones by name only, sites by
// rule.

const DAY_S = 86400;
export const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
export const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export const UTC = Object.freeze({ standard: { name: 'UTC', offset_s: 0 }, daylight: null, start: null, end: null });

const NAME = '(?:<([A-Za-z0-9+-]+)>|([A-Za-z]{3,}))';
const OFFSET = '([+-]?\\d{1,3}(?::\\d{1,2}){0,2})';
const DATE = '(M\\d{1,2}\\.\\d\\.\\d|J\\d{1,3}|\\d{1,3})';
const RULE = `,${DATE}(?:/${OFFSET})?`;
const TZ = new RegExp(`^:?${NAME}${OFFSET}(?:${NAME}${OFFSET}?${RULE}${RULE})?$`);

function seconds(text) {
    const parts = text.replace(/^[+-]/, '').split(':').map(Number);
    const value = parts[0] * 3600 + (parts[1] ?? 0) * 60 + (parts[2] ?? 0);
    return text.startsWith('-') ? -value : value;
}

function rule(date, time) {
    const time_s = time === undefined ? 7200 : seconds(time);
    if (date.startsWith('M')) {
        const [month, week, day] = date.slice(1).split('.').map(Number);
        if (month < 1 || month > 12 || week < 1 || week > 5 || day > 6) {
            throw new RangeError(`impossible date in time zone rule: ${date}`);
        }
        return { kind: 'weekday', month, week, day, time_s };
    }
    const day = Number(date.replace('J', ''));
    if (date.startsWith('J') ? day < 1 || day > 365 : day > 365) {
        throw new RangeError(`impossible date in time zone rule: ${date}`);
    }
    return { kind: date.startsWith('J') ? 'julian' : 'day', day, time_s };
}

/** Throws RangeError for what is not a POSIX TZ string with its rules. '' is UTC. */
export function parseTz(text) {
    if (text === '' || text === undefined || text === null) {
        return UTC;
    }
    const match = TZ.exec(text);
    if (!match) {
        throw new RangeError(`not a POSIX time zone: ${text}`);
    }
    const standard = { name: match[1] ?? match[2], offset_s: -seconds(match[3]) };
    const daylightName = match[4] ?? match[5];
    if (daylightName === undefined) {
        return { standard, daylight: null, start: null, end: null };
    }
    const offset_s = match[6] === undefined ? standard.offset_s + 3600 : -seconds(match[6]);
    return {
        standard,
        daylight: { name: daylightName, offset_s },
        start: rule(match[7], match[8]),
        end: rule(match[9], match[10]),
    };
}

export function daysFromCivil(year, month, day) {
    return Math.floor(Date.UTC(year, month - 1, day) / 1000 / DAY_S);
}

function ruleDays(year, rule) {
    if (rule.kind === 'weekday') {
        const first = daysFromCivil(year, rule.month, 1);
        const next = rule.month === 12 ? daysFromCivil(year + 1, 1, 1) : daysFromCivil(year, rule.month + 1, 1);
        const firstWeekday = (((first + 4) % 7) + 7) % 7;
        let days = first + ((rule.day - firstWeekday + 7) % 7) + (rule.week - 1) * 7;
        while (days >= next) {
            days -= 7;
        }
        return days;
    }
    const newYear = daysFromCivil(year, 1, 1);
    if (rule.kind === 'day') {
        return newYear + rule.day;
    }
    const isLeap = daysFromCivil(year, 3, 1) - newYear === 60;
    return newYear + rule.day - 1 + (isLeap && rule.day >= 60 ? 1 : 0);
}

/** The part of the zone ({name, offset_s}) that holds at a UTC second. */
export function zoneAt(tz, utc_s) {
    if (!tz.daylight) {
        return tz.standard;
    }
    const year = new Date((utc_s + tz.standard.offset_s) * 1000).getUTCFullYear();
    // A rule's time may reach a week into a neighbouring year, so the years around decide too. At the same instant a
    // start follows an end: that is how a zone says "daylight time all year".
    let newest = { at: -Infinity, zone: tz.standard };
    for (const candidate of [year - 1, year, year + 1]) {
        const end = ruleDays(candidate, tz.end) * DAY_S + tz.end.time_s - tz.daylight.offset_s;
        const start = ruleDays(candidate, tz.start) * DAY_S + tz.start.time_s - tz.standard.offset_s;
        if (end <= utc_s && end > newest.at) {
            newest = { at: end, zone: tz.standard };
        }
        if (start <= utc_s && start >= newest.at) {
            newest = { at: start, zone: tz.daylight };
        }
    }
    return newest.zone;
}

/** UTC seconds to {year, month 1…12, day, hour, minute, second, weekday 0 = Sunday, offset_s, name}. */
export function localFromUtc(tz, utc_s) {
    const zone = zoneAt(tz, utc_s);
    const date = new Date(Math.floor(utc_s + zone.offset_s) * 1000);
    return {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
        weekday: date.getUTCDay(),
        offset_s: zone.offset_s,
        name: zone.name,
    };
}

/** The first UTC second with this local time; a time that a clock change skips is taken as standard time. */
export function utcFromLocal(tz, days, secondOfDay) {
    const wall = days * DAY_S + secondOfDay;
    const candidates = tz.daylight
        ? [wall - tz.daylight.offset_s, wall - tz.standard.offset_s].sort((left, right) => left - right)
        : [wall - tz.standard.offset_s];
    return candidates.find((utc_s) => utc_s + zoneAt(tz, utc_s).offset_s === wall) ?? wall - tz.standard.offset_s;
}

/** Days since 1970-01-01 of the local date at a UTC second. */
export function localDays(tz, utc_s) {
    return Math.floor((utc_s + zoneAt(tz, utc_s).offset_s) / DAY_S);
}

const two = (value) => String(value).padStart(2, '0');

export function formatTime(tz, utc_s) {
    const local = localFromUtc(tz, utc_s);
    return `${two(local.hour)}:${two(local.minute)}`;
}

export function formatDate(tz, utc_s) {
    const local = localFromUtc(tz, utc_s);
    return `${WEEKDAYS[local.weekday]} ${local.day} ${MONTHS[local.month - 1]} ${local.year}`;
}

export function formatDateTime(tz, utc_s) {
    const local = localFromUtc(tz, utc_s);
    return `${formatDate(tz, utc_s)} ${two(local.hour)}:${two(local.minute)}:${two(local.second)}`;
}

/** "Sun 27 Mar 2016 14:15–14:30" */
export function formatSpan(tz, start_s, end_s) {
    return `${formatDate(tz, start_s)} ${formatTime(tz, start_s)}–${formatTime(tz, end_s)}`;
}

export function formatZone(tz, utc_s) {
    const { name, offset_s } = zoneAt(tz, utc_s);
    return /^[A-Za-z]/.test(name)
        ? name
        : `UTC${offset_s < 0 ? '−' : '+'}${two(Math.trunc(Math.abs(offset_s) / 3600))}:${two(
              Math.trunc((Math.abs(offset_s) % 3600) / 60),
          )}`;
}

const STEPS_S = [
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    DAY_S,
    2 * DAY_S,
    3 * DAY_S,
    5 * DAY_S,
    7 * DAY_S,
    14 * DAY_S,
    28 * DAY_S,
];

/** Marks of a time axis: UTC seconds at round local times, at most count_max of them between min and max. */
export function localMarks(tz, min_s, max_s, count_max) {
    const span_s = max_s - min_s;
    const step_s = STEPS_S.find((step) => span_s / step <= count_max) ?? Math.ceil(span_s / count_max / DAY_S) * DAY_S;
    const dayStep = Math.max(1, Math.round(step_s / DAY_S));
    const marks = [];
    let days = localDays(tz, min_s);
    days -= ((days % dayStep) + dayStep) % dayStep;
    for (; days <= localDays(tz, max_s); days += dayStep) {
        for (let second = 0; second < DAY_S; second += step_s) {
            const utc_s = utcFromLocal(tz, days, second);
            if (utc_s >= min_s && utc_s <= max_s && utc_s > (marks.at(-1) ?? -Infinity)) {
                marks.push(utc_s);
            }
        }
    }
    return marks;
}
