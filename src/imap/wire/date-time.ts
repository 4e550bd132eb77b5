/** RFC 9051 `date-time` and `date`: pure, so that no time zone of the machine gets in. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const DAY_MS = 24 * 3600 * 1000;

/** `" 1-Jul-1996 02:44:25 +0000"` without the quotes; `ms` since 1970, in UTC. */
export function formatDateTime(ms: number): string {
  const date = new Date(ms);
  const day = String(date.getUTCDate()).padStart(2, ' ');
  const time = date.toISOString().slice(11, 19);
  return `${day}-${MONTHS[date.getUTCMonth()] ?? ''}-${String(date.getUTCFullYear()).padStart(4, '0')} ${time} +0000`;
}

const DATE_TIME =
  /^([ 0-3]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-2][0-9]):([0-5][0-9]):([0-5][0-9]|60) ([+-])([0-9]{2})([0-5][0-9])$/;

/** Reads what stands between the quotes; milliseconds since 1970, or undefined. */
export function parseDateTime(text: string): number | undefined {
  const match = DATE_TIME.exec(text);
  if (!match) return undefined;
  const [
    ,
    day = '',
    month = '',
    year = '',
    hours = '',
    minutes = '',
    seconds = '',
    sign,
    zoneHours,
    zoneMinutes,
  ] = match;
  const days = dayNumber(Number(day), month, Number(year));
  if (days === undefined || Number(hours) > 23) return undefined;
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === '-' ? -1 : 1);
  const clock = (Number(hours) * 60 + Number(minutes) - zone) * 60 + Number(seconds);
  return days * DAY_MS + clock * 1000;
}

/** RFC 9051 `date`, such as `1-Feb-1994`, without quotes: days since 1970-01-01, or undefined. */
export function parseDate(text: string): number | undefined {
  const match = /^([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})$/.exec(text);
  if (!match) return undefined;
  return dayNumber(Number(match[1]), match[2] ?? '', Number(match[3]));
}

/** Days since 1970-01-01 of a calendar date; undefined where there is no such day. */
export function dayNumber(day: number, month: string, year: number): number | undefined {
  const index = MONTHS.findIndex((name) => name.toLowerCase() === month.toLowerCase());
  if (index < 0) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, index, day);
  if (date.getUTCMonth() !== index || date.getUTCDate() !== day) return undefined;
  return date.getTime() / DAY_MS;
}
