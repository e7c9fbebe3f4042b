import { createServer } from 'node:net';
import { type BootRequest, type BootResult, bootKernel } from './boot.ts';
import type { BuiltSource } from './build.ts';
import type { KernelImage } from './image.ts';
import { qcow2Files, qcow2Script } from './qcow2-guest.ts';

const GUEST_PORT = 10809;

/** Programs that serve at once: the guest has two CPUs, and each waits for who is served, too. */
const SERVERS = 3;

/** A guest that serves the images of a folder of this machine, by NBD and by way of the target. */
export interface ServingGuest {
  /** Each of a qcow2-serve, on this machine's loopback. */
  ports: number[];
  ended: Promise<BootResult>;
}

/**
 * Boots a guest that has a folder of this machine at the same place, and in it several qcow2-serve. It ends when a client
 * has asked each for the export "end", or at its time limit.
 */
export async function serveFolder(
  { image, built }: { image: KernelImage; built: BuiltSource },
  folder: string,
  request: Pick<BootRequest, 'timeoutMs'>,
): Promise<ServingGuest> {
  const ports = await freePorts(SERVERS);
  const inGuest = (index: number) => GUEST_PORT + index;
  const wanted = ['virtio_pci', 'virtio_net', '9pnet_virtio', '9p', 'dm_mod', 'crc32c_generic'];
  const steps = `ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
${ports.map((_, index) => `qcow2-serve ${inGuest(index)} /sbin/blkfleet-qcow2 &`).join('\n')}
wait`;
  const ended = bootKernel({
    ...request,
    kernel: image,
    modules: wanted.filter((name) => image.hasModule(name)),
    files: qcow2Files(built),
    script: qcow2Script(steps, {
      at: folder,
      mount: 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=none images',
    }),
    qemuArguments: [
      ...['-virtfs', `local,path=${folder},mount_tag=images,security_model=none`],
      '-netdev',
      [
        'user,id=net,restrict=on',
        ...ports.map((port, index) => `hostfwd=tcp:127.0.0.1:${port}-:${inGuest(index)}`),
      ].join(','),
      ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ],
  });
  return { ports, ended };
}

/** Ports of the loopback that nobody has now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port is free');
      return address.port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
