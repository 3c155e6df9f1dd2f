import type { Gate } from './gate.ts';

/** What was taken out of service comes back by the operators' word alone. */
export const quarantined: Gate = {
  reason: 'quarantined',
  rule: 'a device leaves quarantine by a statement that operators of the fleet signed',
  code: 'E_QUARANTINED',
  check({ incident }) {
    if (incident === undefined) return undefined;
    return {
      what: `it is in quarantine: ${incident.reason} (incident ${incident.id}, ${incident.level})`,
      remedy: `find out why; \`ironport-agent quarantine show ${incident.id}\` writes the statement that the operators can sign`,
    };
  },
};
