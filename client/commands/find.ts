/** `ironport-client ADDRESS find --device BDF|IDS`: which drivers there are for a device. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { choose } from '../../shared/product/choose.ts';
import { hostFacts } from '../find/resolve.ts';
import { choiceData, choiceText, DEVICE, HOST, loadHost, SYSFS } from './host-options.ts';
import { MIRROR, REPOSITORY, ROOT, withPinned } from './options.ts';

export const findCommand: CommandSpec = {
  name: 'find',
  summary: 'find the drivers for a device, and say which version this host takes and why',
  description:
    'Reads the signed index of every product whose vendor the operators gave the device. Of each ' +
    'it takes the newest version that nothing passes over: withdrawn, another device, the ABI, ' +
    "the host's policy, the channel, or a rollout that did not reach this host. Nothing is " +
    'downloaded but metadata and indexes.',
  options: [...REPOSITORY, MIRROR, ROOT, { ...DEVICE, required: true }, SYSFS, ...HOST],
  examples: [
    'ironport-client 127.0.0.1:8080 find --device 0000:00:05.0',
    'ironport-client 127.0.0.1:8080 find --device PCI:0x1234:0x11e8 --product-policy products.json --json',
  ],
  schema: 'ironport-client/find/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const host = await loadHost(context);
      const { indexes, failed } = await repository.indexes(host.device);
      for (const [name, error] of failed) context.ui.warn(`${name} is left out: ${error.message}`);
      const choices = indexes
        .map((index) => choose(index, hostFacts(host)))
        // A product that has nothing for the device at all is not an answer.
        .filter(
          ({ chosen, passedOver }) =>
            chosen.length > 0 || passedOver.some(({ reason }) => reason !== 'device'),
        );
      const products = choices.map(choiceData);
      const isFound = choices.some(({ chosen }) => chosen.length > 0);
      if (!isFound) {
        const passed = choices.flatMap(({ passedOver }) => passedOver);
        throw new IronError('E_NOT_FOUND', `there is no driver for ${context.need('device')}`, {
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
      return {
        data: {
          products,
          failed: [...failed].map(([name, { code, message }]) => ({ name, code, message })),
        },
        text: choices.map(choiceText).join('\n'),
      };
    }),
};
