/**
 * Instants. The clock is always passed in: an instant is a number of seconds since the epoch,
 * and the textual form is the one of TUF 1.0.34 section 4.2.1 (`2030-01-31T12:00:00Z`).
 */

import { IronError } from './errors.ts';

/** Whole seconds since 1970-01-01T00:00:00Z. */
export type Instant = number;

/** Where the present comes from; shells pass the machine's clock, tests a clock of their own. */
export type Clock = () => Instant;

export const SECOND = 1;
export const MINUTE = 60;
export const HOUR = 3600;
export const DAY = 86_400;

const FORM = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?Z$/;

/**
 * The instant that an RFC 3339 text in UTC names. TUF writes whole seconds; a fraction, which
 * in-toto's timestamps may have, is accepted and cut off, i.e. judged no later than it is.
 * Throws `E_SCHEMA` on any other form and on days that do not exist.
 */
export function parseInstant(text: string): Instant {
  const match = FORM.exec(text);
  const [year, month, day, hour, minute, second] = (match ?? []).slice(1, 7).map(Number);
  const days = daysFromCivil(year ?? 0, month ?? 0, day ?? 0);
  const instant = days * DAY + (hour ?? 0) * HOUR + (minute ?? 0) * MINUTE + (second ?? 0);
  // Written back and compared: refuses 30 February, hour 24 and second 60 in one stroke.
  if (match === null || formatInstant(instant) !== `${text.slice(0, 19)}Z`) {
    throw new IronError(
      'E_SCHEMA',
      `not a UTC time of the form 2030-01-31T12:00:00Z: ${shown(text)}`,
    );
  }
  return instant;
}

/** The textual form of an instant within the years 0000 to 9999. */
export function formatInstant(instant: Instant): string {
  const days = Math.floor(instant / DAY);
  const rest = instant - days * DAY;
  const [year, month, day] = civilFromDays(days);
  const two = (n: number): string => String(n).padStart(2, '0');
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return `${date}T${two(Math.floor(rest / HOUR))}:${two(Math.floor((rest % HOUR) / MINUTE))}:${two(Math.floor(rest % MINUTE))}Z`;
}

/** A span in the largest unit that says something: `12 days`, `3 hours`, `1 minute`. */
export function formatSpan(seconds: number): string {
  const span = Math.abs(seconds);
  const [unit, name] =
    span >= 2 * DAY
      ? [DAY, 'day']
      : span >= 2 * HOUR
        ? [HOUR, 'hour']
        : span >= 2 * MINUTE
          ? [MINUTE, 'minute']
          : [1, 'second'];
  const count = Math.floor(span / unit);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

const UNITS: Readonly<Record<string, number>> = { h: HOUR, d: DAY, w: 7 * DAY, y: 365 * DAY };

/** Seconds of a span as people write it: `12h`, `90d`, `2w`, `1y`. `E_USAGE` on anything else. */
export function parseSpan(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,4})([hdwy])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new IronError('E_USAGE', `not a span of time: ${shown(text)}`, {
      hint: 'write a number and h, d, w or y: 12h, 90d, 2w, 1y',
    });
  }
  return Number(count) * (UNITS[unit] as number);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** Days since the epoch of a date of the proleptic Gregorian calendar. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): [year: number, month: number, day: number] {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}
