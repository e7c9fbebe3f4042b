/** What QEMU reads at each start, unless -no-user-config is given. */
export const CONF = '/etc/qemu/qemu.conf';
/** The ready fragments for -readconfig, one a data path. */
export const FRAGMENTS = '/etc/blkfleet/qemu';
/** The fragment of the chosen data path: a link beside the others. */
export const CHOSEN = `${FRAGMENTS}/disk.conf`;
/** What blkfleet keeps for itself, for root only. */
export const KEPT = '/var/lib/blkfleet/qemu_drive_defaults';
/** What QEMU saw, with the key of the programs and the file it was read from. */
export const SEEN = `${KEPT}/seen`;
/** Folders that blkfleet made, one a line. */
export const MADE = `${KEPT}/made`;

export const dataPaths = ['virtio-blk', 'vhost-user-blk', 'vhost-blk'] as const;
export type DataPath = (typeof dataPaths)[number];

export const fragmentPath = (path: DataPath) => `${FRAGMENTS}/${path}.conf`;
