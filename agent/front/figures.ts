/** What the helper answers, as figures for Prometheus (exposition format 0.0.4). Pure. */

import { Node } from '../../shared/json/decode.ts';
import type { JsonValue } from '../../shared/json/value.ts';

export const FIGURES_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The `data` of three documents of the helper's. */
export interface Answers {
  readonly status: JsonValue;
  readonly quarantine: JsonValue;
  readonly counts: JsonValue;
}

/** Figures that say no more than that the helper could not be asked. */
export function figuresWithout(ownBytes: number): string {
  return textOf([up(0), memory([['front', '', ownBytes]])]);
}

/** All figures. `E_SCHEMA` on documents that have not the form of the helper's. */
export function figuresOf({ status, quarantine, counts }: Answers, ownBytes: number): string {
  const [state, held] = [new Node(status, 'status'), new Node(counts, 'counts')];
  const bindings = state
    .get('bindings')
    .items()
    .map((one) => one.get('state').string());
  const incidents = new Node(quarantine, 'quarantine').get('incidents').items();
  const levels = incidents.map((one) => one.get('level').string());
  return textOf([
    up(1),
    family(
      'bindings',
      'gauge',
      'Bindings, by what became of their device.',
      tally(bindings, 'state'),
    ),
    family('accepted', 'gauge', 'Drivers that were accepted.', [
      [{}, state.get('accepted').items().length],
    ]),
    family('quarantined', 'gauge', 'Devices in quarantine, by level.', tally(levels, 'level')),
    family('audit_lines', 'gauge', 'Lines of the audit log.', [
      [{}, held.get('audit_lines').integer(0)],
    ]),
    family(
      'gate_refusals_total',
      'counter',
      'Bindings that a gate refused.',
      counted(held, 'gate_refusals', 'gate'),
    ),
    family(
      'events_total',
      'counter',
      'Lines of the audit log, by event.',
      counted(held, 'events', 'event'),
    ),
    family(
      'watched_total',
      'counter',
      'What was seen of devices that are held, by what followed.',
      counted(held, 'watched', 'kind', 'decision'),
    ),
    family(
      'requests_total',
      'counter',
      'Requests to the helper, by verdict.',
      counted(held, 'requests', 'command', 'verdict'),
    ),
    memory([...processes(state), ['front', '', ownBytes]]),
  ]);
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

const up = (value: number): string[] =>
  family('helper_up', 'gauge', 'Whether the helper answered.', [[{}, value]]);

function memory(of: readonly (readonly [string, string, number])[]): string[] {
  const samples = of.map(
    ([role, device, bytes]): Sample => [device === '' ? { role } : { role, device }, bytes],
  );
  return family('resident_memory_bytes', 'gauge', 'Memory of each process of the agent.', samples);
}

/** The front says its own itself: the helper may not be let look at it. */
function processes(state: Node): [string, string, number][] {
  return state
    .get('processes')
    .items()
    .flatMap((one): [string, string, number][] => {
      const [role, bytes] = [one.get('role').string(), one.get('resident_bytes')];
      if (role === 'front' || bytes.value === null) return [];
      const device = one.get('device');
      return [[role, device.value === null ? '' : device.string(), bytes.integer(0)]];
    });
}

function counted(node: Node, list: string, ...labels: string[]): Sample[] {
  return node
    .get(list)
    .items()
    .map(
      (one): Sample => [
        Object.fromEntries(labels.map((label) => [label, one.get(label).string()])),
        one.get('count').integer(0),
      ],
    );
}

function tally(words: readonly string[], label: string): Sample[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]): Sample => [{ [label]: word }, count]);
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): string[] {
  const whole = `ironport_agent_${name}`;
  // Two users may have the same verdict: a series stands once.
  const sums = new Map<string, number>();
  for (const [labels, value] of samples) {
    const series = `${whole}${labelsText(labels)}`;
    sums.set(series, (sums.get(series) ?? 0) + value);
  }
  return [
    `# HELP ${whole} ${help}`,
    `# TYPE ${whole} ${type}`,
    ...[...sums].map(([series, value]) => `${series} ${value}`),
  ];
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** As the format says: backslash, quote and line feed. Other control characters are left out. */
function escaped(text: string): string {
  const plain = [...text].filter((letter) => letter === '\n' || letter >= ' ').join('');
  return plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function textOf(families: readonly string[][]): string {
  return `${families.flat().join('\n')}\n`;
}
