/** What a list revokes that an earlier one did not, in words: read before anybody signs. */

import { changes, gains, loses, type TrustChange, warns } from '../tuf/diff/change.ts';
import type { RevocationList } from './list.ts';

/** Against no list, all that it says. */
export function revocationDiff(
  before: RevocationList | undefined,
  after: RevocationList,
): TrustChange[] {
  const said: TrustChange[] = [];
  for (const [component, { generation, reason }] of after.floors) {
    const old = before?.floors.get(component);
    if (old?.generation !== generation)
      said.push(
        loses(
          `nothing of ${component} below generation ${generation} is used any more${old === undefined ? '' : `, where it was ${old.generation}`}: ${reason}`,
        ),
      );
    else if (old.reason !== reason)
      said.push(changes(`the floor of ${component} has another reason: ${reason}`));
  }
  for (const [sha256, { reason }] of after.digests) {
    const old = before?.digests.get(sha256);
    if (old === undefined) said.push(loses(`${sha256} is used no more: ${reason}`));
    else if (old.reason !== reason)
      said.push(changes(`the denial of ${sha256} has another reason: ${reason}`));
  }
  for (const [keyid, { allowed, reason }] of after.keys) {
    const old = before?.keys.get(keyid);
    if (old === undefined)
      said.push(
        loses(
          `the key ${keyid} counts nowhere any more${allowed.length === 0 ? '' : `, but for ${allowed.join(', ')}`}: ${reason}`,
        ),
      );
    else if (old.reason !== reason || old.allowed.join() !== allowed.join())
      said.push(
        changes(
          `the denial of the key ${keyid} is another: but for ${allowed.join(', ') || 'nothing'}: ${reason}`,
        ),
      );
  }
  return [...said, ...takenBack(before, after), ...numbers(before, after)];
}

function takenBack(before: RevocationList | undefined, after: RevocationList): TrustChange[] {
  if (before === undefined) return [];
  const isSameEpoch = before.epoch === after.epoch;
  return [
    ...[...before.floors].flatMap(([component, { generation }]) => {
      const now = after.floors.get(component)?.generation ?? 0;
      if (now >= generation) return [];
      const words = `the floor of ${component} goes from ${generation} to ${now}`;
      return [isSameEpoch ? warns(`${words}: hosts will refuse this list`) : gains(words)];
    }),
    ...[...before.digests.keys()]
      .filter((sha256) => !after.digests.has(sha256))
      .map((sha256) => gains(`${sha256} may be used again`)),
    ...[...before.keys.keys()]
      .filter((keyid) => !after.keys.has(keyid))
      .map((keyid) => gains(`the key ${keyid} counts again`)),
  ];
}

function numbers(before: RevocationList | undefined, after: RevocationList): TrustChange[] {
  const name = `list ${after.version} of epoch ${after.epoch}`;
  if (before === undefined) return [changes(`it is ${name}`)];
  const isNext = after.epoch === before.epoch && after.version === before.version + 1;
  const said = [changes(`it is ${name}, after list ${before.version} of epoch ${before.epoch}`)];
  if (!isNext && after.epoch === before.epoch)
    said.push(warns(`list ${after.version} does not follow list ${before.version}`));
  if (after.epoch !== before.epoch)
    said.push(warns('it is of another epoch: all floors begin anew'));
  return said;
}
