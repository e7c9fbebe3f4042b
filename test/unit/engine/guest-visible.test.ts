import { expect, it } from 'vitest';
import { guestVisibleDifferences } from '../../../src/engine/guest-visible.ts';
import type { HostReport } from '../../../src/events/events.ts';

const host = (name: string, guestVisible: Record<string, string>): HostReport => ({
  name,
  status: 'ok',
  changes: 0,
  tasks: [{ play: 'p', task: 't', kind: 'k', status: 'ok', diff: [], error: null, guestVisible }],
  error: null,
});

it('a value that is not the same on all hosts that tell it is told with the hosts', () => {
  const hosts = [
    ...Array.from({ length: 9 }, (_, index) => host(`hv${index}`, { queues: 'vcpus', size: '256' })),
    host('odd', { queues: '4', size: '256', 'only here': '1' }),
  ];
  expect(guestVisibleDifferences(hosts)).toEqual([
    'queues differs: vcpus on hv0, hv1, hv2, hv3, hv4, hv5 and 3 more; 4 on odd. A guest can not migrate between these hosts',
  ]);
});

it('hosts that are alike, and hosts that tell nothing, are no difference', () => {
  expect(guestVisibleDifferences([host('a', { x: '1' }), host('b', { x: '1' }), host('c', {})])).toEqual([]);
});
