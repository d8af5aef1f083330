/** Draws a report of the benchmark as one SVG: throughput as bars, latency under a fixed rate beside it. */

export interface ChartColumn {
  readonly name: string;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const WIDTH = 720;
const ROW = 56;
const TOP = 72;
const BAR_LEFT = 170;
const BAR_WIDTH = 280;

export function drawChart(title: string, subtitle: string, columns: readonly ChartColumn[]): string {
  const most = Math.max(...columns.map(({ rps }) => rps), 1);
  const height = TOP + columns.length * ROW + 24;
  const rows = columns.map(({ name, rps, p50Ms, p99Ms }, index) => {
    const y = TOP + index * ROW;
    const width = Math.max(2, Math.round((rps / most) * BAR_WIDTH));
    return [
      `<text x="16" y="${y + 20}" class="name">${escapeXml(name)}</text>`,
      `<rect x="${BAR_LEFT}" y="${y + 4}" width="${width}" height="22" rx="3" class="bar${index === 0 ? " bare" : ""}"/>`,
      `<text x="${BAR_LEFT + width + 8}" y="${y + 20}" class="value">${Math.round(rps).toLocaleString("en")}/s</text>`,
      `<text x="560" y="${y + 20}" class="value">${p50Ms} / ${p99Ms} ms</text>`,
    ].join("\n  ");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #24292f; }
    .title { font-weight: 600; font-size: 16px; } .small { font-size: 12px; fill: #57606a; }
    .bar { fill: #2f6feb; } .bare { fill: #8c959f; }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .small { fill: #9198a1; } }
  </style>
  <text x="16" y="26" class="title">${escapeXml(title)}</text>
  <text x="16" y="46" class="small">${escapeXml(subtitle)}</text>
  <text x="${BAR_LEFT}" y="64" class="small">calls a second, closed loop</text>
  <text x="560" y="64" class="small">p50 / p99 at 1,000/s</text>
  ${rows.join("\n  ")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
