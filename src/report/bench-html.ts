import type { BenchReport, BenchResult, BenchRw, BenchWay } from '../events/bench.ts';
import { printable } from '../lib/terminal.ts';

/** Texts that the page shares with the terminal; all printable. */
export interface BenchTexts {
  facts: readonly string[];
  notes: readonly string[];
  /** ways without a number, and why */
  absent: readonly { way: BenchWay; reason: string }[];
  titles: Readonly<Record<BenchWay, string>>;
  rate: (iops: number) => string;
}

const LABEL = 90;
const WIDTH = 720;
const BAR = 20;
const GAP = 14;
const HEAD = 30;

/**
 * A page of its own: a bar chart for each kind of rw, then all numbers as a table. It has no script and names no
 * other address, follows the reader's dark or light colours, and can be printed.
 */
export function benchHtml(report: BenchReport, texts: BenchTexts): string {
  const title = `blkfleet bench: ${report.host}`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${text(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${text(title)}</h1>
<ul class="facts">${texts.facts.map((fact) => `<li>${text(fact)}</li>`).join('')}<li>${text(`measured ${report.run.started} to ${report.run.finished}`)}</li></ul>
${report.warnings.map((warning) => `<p class="warning" role="note">${text(warning)}</p>`).join('\n')}
<ul class="legend">${waysOf(measured(report, texts))
    .map(
      (way) =>
        `<li><svg width="14" height="14" aria-hidden="true"><rect class="${way}" width="14" height="14" rx="2"/></svg>${text(texts.titles[way])}</li>`,
    )
    .join('')}</ul>
${report.request.rw.map((rw) => figure(report, rw, texts)).join('\n')}
${table(report, texts)}
${texts.absent.map(({ way, reason }) => `<p class="warning">${text(`${texts.titles[way]} is not measured: ${reason}`)}</p>`).join('\n')}
${texts.notes.map((note) => `<p class="note">${text(note)}</p>`).join('\n')}
</main>
</body>
</html>
`;
}

function figure(report: BenchReport, rw: BenchRw, texts: BenchTexts): string {
  const results = measured(report, texts).filter((result) => result.rw === rw);
  const most = Math.max(1, ...results.map(({ median }) => median ?? 0));
  const room = WIDTH - LABEL - 190;
  const parts: string[] = [];
  let y = HEAD;
  for (const vcpus of report.request.vcpus) {
    const bars = results.filter((result) => result.vcpus === vcpus);
    parts.push(
      `<text class="label" x="0" y="${y + (bars.length * (BAR + 4)) / 2}" dominant-baseline="middle">${vcpus} vCPU</text>`,
    );
    for (const bar of bars) {
      const width = bar.median === null ? 0 : Math.max(1, (bar.median / most) * room);
      const name = `${texts.titles[bar.way]}, ${vcpus} vCPU: ${said(bar, texts)}`;
      parts.push(
        `<g><title>${text(name)}</title><rect class="${bar.way}" data-rw="${rw}" data-vcpus="${vcpus}" data-way="${bar.way}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>` +
          `<text class="value" x="${(LABEL + width + 6).toFixed(1)}" y="${y + BAR / 2}" dominant-baseline="central">${text(said(bar, texts))}</text></g>`,
      );
      y += BAR + 4;
    }
    y += GAP;
  }
  return `<figure>
<svg viewBox="0 0 ${WIDTH} ${y}" role="img" aria-label="${text(`${rw}: requests a second of each way; the same numbers stand in the table`)}">
<text class="head" x="0" y="16">${rw}, IOPS</text>
${parts.join('\n')}
</svg>
</figure>`;
}

function said(result: BenchResult, texts: BenchTexts): string {
  if (result.median === null) return result.outcome;
  return `${texts.rate(result.median)}${result.ratio === null || result.way === 'host' ? '' : `  ×${result.ratio.toFixed(2)}`}`;
}

function table(report: BenchReport, texts: BenchTexts): string {
  const cell = (value: string) => `<td class="number">${text(value)}</td>`;
  const rows = measured(report, texts).map((result) => {
    const start = `<tr><th scope="row">${result.rw}</th><td class="number">${result.vcpus}</td><td>${text(texts.titles[result.way])}</td>`;
    if (result.median === null)
      return `${start}<td colspan="4">${text(`${result.outcome}: ${result.reason ?? ''}`)}</td></tr>`;
    const failed = result.reason === null ? '' : `; a round failed: ${result.reason}`;
    return (
      start +
      cell(result.median.toFixed(0)) +
      cell(result.ratio?.toFixed(2) ?? '–') +
      cell(result.cpuUs?.toFixed(1) ?? '–') +
      `<td>${text(`${result.iops.map((value) => value.toFixed(0)).join(', ')}${failed}`)}</td></tr>`
    );
  });
  const heads = ['rw', 'vCPUs', 'way', 'IOPS', '÷ host', 'CPU µs a request', 'rounds'];
  return `<div class="wide"><table>
<caption>All numbers</caption>
<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}

function measured({ results }: BenchReport, { absent }: BenchTexts): BenchResult[] {
  return results.filter(({ way }) => !absent.some((other) => other.way === way));
}

function waysOf(results: readonly BenchResult[]): BenchWay[] {
  return [...new Set(results.map(({ way }) => way))];
}

/** Text of hosts as text of a page, also within an attribute. */
function text(value: string): string {
  return printable(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const style = `
:root { color-scheme: light dark; --ink: #1c2128; --quiet: #57606a; --page: #ffffff; --line: #d0d7de;
  --host: #6e7781; --virtio: #b35900; --user: #8250df; --vhost: #1a7f37; --warn: #9a6700; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --quiet: #9da7b3; --page: #0d1117; --line: #30363d;
    --host: #8b949e; --virtio: #f0883e; --user: #bc8cff; --vhost: #3fb950; --warn: #d29922; }
}
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
.facts, .note { color: var(--quiet); overflow-wrap: anywhere; }
.facts { padding-left: 1.2rem; }
.warning { color: var(--warn); font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; padding: 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: .5rem; }
figure { margin: 1.5rem 0; }
figure svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .head { font-weight: 600; font-size: 15px; }
rect.host { fill: var(--host); }
rect.virtio-blk { fill: var(--virtio); }
rect.vhost-user-blk { fill: var(--user); }
rect.vhost-blk { fill: var(--vhost); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody th { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
`;
