import { defineKind } from '../kind.ts';
import { planDevice } from './plan.ts';
import { parseDevice, probeDevices, type Qcow2DeviceState } from './probe.ts';
import { type Qcow2DeviceDesired, qcow2DeviceSchema } from './schema.ts';
import { deviceSteps } from './steps.ts';

/** A QCOW2 image attached as a block device by dm_qcow2, now and at boot. */
export const qcow2Device = defineKind<Qcow2DeviceDesired, Qcow2DeviceState>({
  kind: 'qcow2_device',
  summary:
    'Attaches a QCOW2 image as the block device /dev/mapper/NAME, now and at boot, and never detaches one in use',
  schema: qcow2DeviceSchema,
  probe: probeDevices,
  parse: parseDevice,
  plan: planDevice,
  steps: deviceSteps,
});
