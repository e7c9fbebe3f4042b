import { chainOf, type MadeImage } from './qcow2-images.ts';

/** Tops that are merged into the qcow2 image below them. */
export const mergedNames = [
  ...['over-longer', 'over-512', 'over-packed', 'subclusters-over-packed', 'over-data-file'],
];

/** Its lower image can not get larger without showing what the one below that has there. */
export const refusedName = 'over-one-mebibyte';

/** Name of the image below a top. */
export const belowOf: Readonly<Record<string, string>> = {
  'over-longer': 'cluster-64k',
  'over-512': 'over-shorter',
  'over-packed': 'zstd-64k',
  'subclusters-over-packed': 'over-packed',
  'over-data-file': 'data-file',
};

/** Merges each top while it is written, in a folder of its own: what lies below it is others', too. */
function mergeSteps({ name, file }: MadeImage, index: number): string {
  const chain = chainOf('.', name).map((file) => file.split(':')[1]!);
  const lower = chain.filter((path) => path !== file && !path.startsWith(`${belowOf[name]}.`));
  const at = `/images/merged/${name}`;
  const exercise = (seed: number, rounds: number) =>
    `qcow2-exercise /dev/mapper/t ${at}/model ${seed} ${rounds} 40 4`;
  return `echo "@@image merged ${name}"
mkdir -p ${at}
cp ${chain.map((path) => `/images/${path}`).join(' ')} ${at}/
if blkfleet-qcow2 attach ${at}/${file} --name t >/dev/null; then
	${exercise(index, 6)} >/tmp/exercise 2>&1 &
	writer=$!
	blkfleet-qcow2 commit t ${at}/${file} && echo "@@merged"
	wait $writer && echo "@@same" || cat /tmp/exercise
	cmp ${at}/model /dev/mapper/t && echo "@@holds"
	blkfleet-qcow2 message t merge
	${exercise(index + 100, 1)} && echo "@@written"
	blkfleet-qcow2 commit t ${at}/${file} 2>&1
	blkfleet-qcow2 detach t && echo "@@detached"
fi
for f in ${lower.join(' ')}; do cmp -s ${at}/$f /images/$f || echo "@@changed $f"; done`;
}

/** What is refused, and leaves the device as it was. */
function refusedSteps(): string {
  const attach = (name: string, top: string, options = '') =>
    `blkfleet-qcow2 attach /images/${top}.qcow2 --name ${name} ${options} >/dev/null`;
  const commit = (name: string, top: string) => `blkfleet-qcow2 commit ${name} /images/${top}.qcow2 2>&1`;
  return `echo "@@image refused"
cp /images/over-longer.qcow2 /images/other.qcow2
${attach('t', 'over-longer')}
${commit('t', 'over-packed')}
${commit('t', 'cluster-64k')}
${attach('other', 'other')}
${commit('t', 'over-longer')}
blkfleet-qcow2 detach other
blkfleet-qcow2 message t merge
blkfleet-qcow2 suspend t; ${commit('t', 'over-longer')}; blkfleet-qcow2 resume t
blkfleet-qcow2 detach t
${attach('t', 'over-longer', '--ro')}; ${commit('t', 'over-longer')}; blkfleet-qcow2 detach t
${attach('t', 'over-raw')}; ${commit('t', 'over-raw')}; blkfleet-qcow2 detach t
${attach('t', refusedName)}
cat /dev/mapper/t >/images/refused.model
${commit('t', refusedName)}
cmp /images/refused.model /dev/mapper/t && echo "@@as before"
blkfleet-qcow2 detach t
${attach('t', 'over-tail')}; ${commit('t', 'over-tail')}; blkfleet-qcow2 detach t
${attach('t', 'over-snapshot')}; ${commit('t', 'over-snapshot')}; blkfleet-qcow2 detach t
${attach('t', 'over-longer')}
for what in start grow finish sideways; do blkfleet-qcow2 message t "merge $what" 2>/dev/null || echo "@@no $what"; done
size=$(blockdev --getsz /dev/mapper/t)
for words in merged merge "merge 99" "merge 5" "merge 6" "merge 7:5" "merge 5:6:7" "merge 1$(seq -s 0 50)"; do
	qcow2-table replace t $size qcow2 "$words" 5</images/cluster-64k.qcow2 6<>/images/over-packed.qcow2 7<>/images/cluster-64k.qcow2 2>/dev/null ||
		echo "@@no table"
done
blkfleet-qcow2 detach t`;
}

/** As a tool leaves it that is killed when the device is suspended for the end. */
function doneSteps(): string {
  const at = '/images/done';
  return `echo "@@image done"
mkdir ${at}
cp /images/over-packed.qcow2 /images/zstd-64k.qcow2 ${at}/
blkfleet-qcow2 attach ${at}/over-packed.qcow2 --name t >/dev/null
cat /dev/mapper/t >${at}/model
qcow2-table replace t $(blockdev --getsz /dev/mapper/t) qcow2 "merge 5" 5<>${at}/zstd-64k.qcow2
blkfleet-qcow2 message t "merge start"
for i in $(seq 600); do blkfleet-qcow2 message t merge | grep -q 'state ready' && break; sleep 0.1; done
blkfleet-qcow2 message t "merge finish"
blkfleet-qcow2 suspend t
blkfleet-qcow2 message t merge
blkfleet-qcow2 commit t ${at}/over-packed.qcow2 && echo "@@merged"
cmp ${at}/model /dev/mapper/t && echo "@@holds"
blkfleet-qcow2 detach t && echo "@@detached"`;
}

/** What keeps a merge from its end: a file system that does not write, one that is full, somebody who ends the tool. */
function disturbedSteps(): string {
  const commit = 'blkfleet-qcow2 commit t /images/frozen.qcow2 --base /below';
  const copying = `for i in $(seq 600); do blkfleet-qcow2 message t merge | grep -q 'state copying' && break; sleep 0.1; done`;
  return `echo "@@image disturbed"
blkfleet-qcow2 attach /images/frozen.qcow2 --name t --base /below >/dev/null
cat /dev/mapper/t >/images/frozen.model
fsfreeze --freeze /below
${commit} >/tmp/out 2>&1 &
tool=$!
${copying}
kill -INT $tool
sleep 1
fsfreeze --unfreeze /below
wait $tool; echo "@@interrupted $? $(cat /tmp/out)"
blkfleet-qcow2 message t merge
cmp /images/frozen.model /dev/mapper/t && echo "@@as before"
fsfreeze --freeze /below
${commit} >/tmp/out 2>&1 &
tool=$!
${copying}
${commit} 2>&1; echo "@@second $?"
kill -KILL $tool
wait $tool; echo "@@killed $?"
${commit} >/tmp/out 2>&1 &
tool=$!
sleep 2
kill -TERM $tool
sleep 1
fsfreeze --unfreeze /below
wait $tool; echo "@@interrupted $? $(cat /tmp/out)"
cmp /images/frozen.model /dev/mapper/t && echo "@@as before"
fsfreeze --freeze /below
${commit} >/tmp/out 2>&1 &
tool=$!
${copying}
kill -KILL $tool
wait $tool; echo "@@killed $?"
fsfreeze --unfreeze /below
cmp /images/frozen.model /dev/mapper/t && echo "@@as before"
${commit} && echo "@@merged"
cmp /images/frozen.model /dev/mapper/t && echo "@@as before"
blkfleet-qcow2 detach t && echo "@@detached"
echo "@@image full"
blkfleet-qcow2 attach /images/full.qcow2 --name t --base /below >/dev/null
cat /dev/mapper/t >/images/full.model
qcow2-exercise /dev/mapper/t /images/full.model 1 6 40 4 >/tmp/exercise 2>&1 &
writer=$!
blkfleet-qcow2 commit t /images/full.qcow2 --base /below >/tmp/out 2>&1; echo "@@full $? $(cat /tmp/out)"
wait $writer && echo "@@same" || cat /tmp/exercise
blkfleet-qcow2 message t merge
cmp /images/full.model /dev/mapper/t && echo "@@holds"
blkfleet-qcow2 detach t && echo "@@detached"`;
}

/** Commands for the guest: merges tops, each in copies of its chain. */
export const mergedSteps = (images: readonly MadeImage[]) =>
  images
    .filter(({ name }) => mergedNames.includes(name))
    .map(mergeSteps)
    .join('\n');

/** Commands for the guest: those, and what is refused or disturbed. */
export const allMergeSteps = (images: readonly MadeImage[]) =>
  [mergedSteps(images), refusedSteps(), doneSteps(), disturbedSteps(), 'echo "@@image"'].join('\n');

/** What the guest says of each that was merged. */
export const mergedMarks = ['merged', 'same', 'holds', 'written', 'detached'].map((mark) => `@@${mark}\n`);
