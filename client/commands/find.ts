/** `ironport-client ADDRESS find --device BDF|IDS`: which drivers there are for a device. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { CODES, IronError } from '../../shared/errors.ts';
import { type Choice, choose } from '../../shared/product/choose.ts';
import { isContradicted } from '../../shared/verify/agreement.ts';
import { hostFacts } from '../find/resolve.ts';
import type { Decision } from '../map/catalogs.ts';
import { findByMap } from '../map/find.ts';
import { choiceData, choiceText, DEVICE, HOST, loadHost, SYSFS } from './host-options.ts';
import {
  agreementData,
  agreementText,
  decisionData,
  decisionText,
  type Failure,
  failuresOf,
  isUnsettled,
  MAP,
  refuseRoots,
  withMapped,
} from './map-options.ts';
import { MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';

export const findCommand: CommandSpec = {
  name: 'find',
  summary: 'find the drivers for a device, and say which version this host takes and why',
  description:
    'Reads the signed index of every product whose vendor the operators gave the device. Of each ' +
    'it takes the newest version that nothing passes over: withdrawn, another device, the ABI, ' +
    "the host's policy, the channel, or a rollout that did not reach this host. Nothing is " +
    'downloaded but metadata and indexes. With --map, only what enough repositories agree on is an ' +
    'answer; on what they contradict one another is said, and the exit status is then 14.',
  options: [
    ...REPOSITORY,
    MIRROR,
    ROOT,
    ...OFFLINE,
    { ...DEVICE, required: true },
    SYSFS,
    ...HOST,
    ...MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 find --device 0000:00:05.0',
    'ironport-client 127.0.0.1:8080 find --device PCI:0x1234:0x11e8 --product-policy products.json --json',
    'ironport-client find --map map.json --device 0000:00:05.0',
  ],
  schema: 'ironport-client/find/v1',
  run: (context) => (context.text('map') === undefined ? inOne(context) : inMap(context)),
};

function inOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withPinned(context, async (repository) => {
    const host = await loadHost(context);
    const { indexes, failed } = await repository.indexes(host.device);
    for (const [name, error] of failed) context.ui.warn(`${name} is left out: ${error.message}`);
    const choices = indexes.map((index) => choose(index, hostFacts(host))).filter(isAnswer);
    if (!choices.some(isFound)) throw nothing(context, choices);
    return {
      data: {
        products: choices.map((choice) => ({ ...choiceData(choice), agreement: null })),
        failed: [...failed].map(([name, { code, message }]) => ({ name, code, message })),
        not_agreed: null,
      },
      text: choices.map(choiceText).join('\n'),
    };
  });
}

/** Only what enough repositories agree on is an answer, and what they do not is said beside it. */
function inMap(context: CommandContext): Promise<CommandResult> {
  return withMapped(context, async (mapped) => {
    const host = await loadHost(context);
    const catalogs = await mapped.catalogs(host.device);
    const failed = failuresOf(catalogs);
    for (const { name, error } of failed) context.ui.warn(`${name}: ${error.message}`);
    const { choices, notAgreed } = findByMap(catalogs, host);
    const answers = choices.filter(
      ({ choice, artifacts }) => isAnswer(choice) || artifacts.length > 0,
    );
    const unsettled = notAgreed.filter(isUnsettled);
    if (!answers.some(({ choice }) => isFound(choice))) {
      throw unsettled.length > 0 || failed.length > 0
        ? tooFew(context, unsettled, failed)
        : nothing(
            context,
            answers.map(({ choice }) => choice),
          );
    }
    return {
      exit: notAgreed.some(({ words }) => isContradicted(words)) ? CODES.E_NOT_AGREED.exit : 0,
      data: {
        products: answers.map(({ choice, decision }) => ({
          ...choiceData(choice),
          agreement: decision.agreement === undefined ? null : agreementData(decision.agreement),
        })),
        failed: failed.map(({ name, error: { code, message } }) => ({ name, code, message })),
        not_agreed: notAgreed.map(decisionData),
      },
      text: [
        ...answers.flatMap(({ choice, decision, artifacts }) => [
          choiceText(choice),
          ...[decision, ...artifacts].flatMap(({ agreement }) =>
            agreement === undefined ? [] : [agreementText(agreement)],
          ),
        ]),
        ...unsettled.map(decisionText),
      ].join('\n'),
    };
  });
}

/** A product that has nothing for the device at all is not an answer. */
function isAnswer({ chosen, passedOver }: Choice): boolean {
  return chosen.length > 0 || passedOver.some(({ reason }) => reason !== 'device');
}

function isFound({ chosen }: Choice): boolean {
  return chosen.length > 0;
}

function nothing(context: CommandContext, choices: readonly Choice[]): IronError {
  const passed = choices.flatMap(({ passedOver }) => passedOver);
  return new IronError('E_NOT_FOUND', `there is no driver for ${context.need('device')}`, {
    why:
      passed.length === 0
        ? 'no product that a vendor of this device publishes lists it'
        : passed
            .map(({ entry, why }) => `${entry.path}: ${why}`)
            .join('; ')
            .slice(0, 1000),
    hint: 'nothing was changed; `ironport-client ADDRESS index` lists what there is',
  });
}

/** There may be a driver: it is not for one repository to say so, nor to say that there is none. */
function tooFew(
  context: CommandContext,
  unsettled: readonly Decision[],
  failed: readonly Failure[],
): IronError {
  const words = [
    ...failed.map(({ name, error }) => `${name}: ${error.code}, ${error.message}`),
    ...unsettled.map(({ error }) => `${error?.message}: ${error?.why}`),
  ];
  return new IronError(
    'E_NOT_AGREED',
    `too few repositories of the map agree about a driver for ${context.need('device')}`,
    {
      why: words.join('; ').slice(0, 2000),
      hint: 'nothing was changed; ask those who run the repositories which of them is right',
    },
  );
}
