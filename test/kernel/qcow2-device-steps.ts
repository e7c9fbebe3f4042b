import type { MadeImage } from './qcow2-images.ts';

/** Bytes by which each device grows. */
export const GROWTH = 3 * 1024 * 1024;

/** Of those, the last has a larger backing file, of which more would be seen: it can not grow. */
export const canGrow = (name: string) => name !== 'over-longer';

/** Of a suspended device: it is not resumed while its file is no image, and is when it is one again. */
const resumeSteps = (name: string, file: string) => `
	dd if=/images/${file} of=/tmp/start bs=512 count=1 2>/dev/null
	dd if=/dev/zero of=/images/${file} bs=512 count=1 conv=notrunc 2>/dev/null
	blkfleet-qcow2 resume t 2>/dev/null || echo "@@no image"
	dd if=/tmp/start of=/images/${file} bs=512 count=1 conv=notrunc 2>/dev/null
	if blkfleet-qcow2 resume t; then cmp /images/${name}.model /dev/mapper/t && echo "@@resumed"; fi`;

/** Commands for the guest: write each image, ask and grow its device while it is there, and write it again. */
export function deviceSteps(images: readonly MadeImage[]): string {
  // Tops first: what is below another is changed after it.
  const steps = [...images].reverse().map(({ name, file, bytes }, index) => {
    const exercise = `qcow2-exercise /dev/mapper/t /images/${name}.model ${index} 2 30 4`;
    return `echo "@@image ${name}"
if blkfleet-qcow2 attach /images/${file} --name t >/dev/null; then
	${exercise} && echo "@@same"
	blkfleet-qcow2 message t flush && echo "@@flushed"
	for what in cache allocation errors stats; do echo "@@$what $(blkfleet-qcow2 message t $what)"; done
	blkfleet-qcow2 message t nothing 2>/dev/null || echo "@@unknown"
	if blkfleet-qcow2 grow t ${bytes + GROWTH} 2>/dev/null; then
		dd if=/dev/null of=/images/${name}.model bs=1 seek=${bytes + GROWTH} 2>/dev/null
		cmp /images/${name}.model /dev/mapper/t && echo "@@grown"
		${exercise} && echo "@@same again"
	else
		echo "@@not grown"
	fi
	blkfleet-qcow2 suspend t
	blkfleet-qcow2 message t flush 2>/dev/null || echo "@@suspended"${resumeSteps(name, file)}
	blkfleet-qcow2 detach t && echo "@@detached"
fi`;
  });
  return `${steps.join('\n')}\necho "@@image"`;
}

/** Commands for the guest, after those: a chain of nothing but a raw file. */
export function rawSteps({ name }: MadeImage): string {
  const model = `/images/${name}.model`;
  return `if qcow2-load t $(($(stat -c %s ${model}) / 512)) ro 1 raw:${model} >/dev/null; then
	blkfleet-qcow2 suspend t
	blkfleet-qcow2 resume t && cmp ${model} /dev/mapper/t && echo "@@raw"
	blkfleet-qcow2 detach t
fi`;
}

/** What the guest said of an image. */
export const saidOfImage = (output: string, name: string) =>
  output.split(/^@@image ?/m).find((part) => part.startsWith(`${name}\n`)) ?? '';
