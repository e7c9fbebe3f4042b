// Debian packages that a bare machine lacks, by what needs them; one name a line, sorted.
export const debianPackages = {
  quickstart: ['e2fsprogs', 'mmdebstrap', 'openssh-client', 'qemu-system-x86', 'sudo', 'util-linux'],
  test: [
    'busybox-static',
    'cpio',
    'csh',
    'e2fsprogs',
    'fdisk',
    'iproute2',
    'mmdebstrap',
    'openssh-client',
    'openssh-server',
    'qemu-system-x86',
    'qemu-utils',
    'sudo',
    'util-linux',
    'xz-utils',
  ],
};
