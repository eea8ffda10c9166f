// LI and MA as lines: dragged, with the mask following, and drawn by a few clicks.
//
// A line has one depth a column, in pixels, the centre of the first row being 0. A pixel is layer when LI <= y < MA: the
// line lies half a pixel outside the outermost pixels, which is how the server measures.
import { wall } from "./boundaries.js";
import { LAYER } from "./mask.js";

export const LINES = ["li", "ma"];

// Depth of both lines in every column of a frame, NaN where there is no wall.
export const linesOf = ({ first, last }) => ({
  li: Float64Array.from(first, (row) => (row < 0 ? NaN : row - 0.5)),
  ma: Float64Array.from(last, (row) => (row < 0 ? NaN : row + 0.5)),
});

// How far a column follows when the line is dragged in another one: all the way there, not at all from `reach` columns on.
export const pull = (distance, reach) => (distance >= reach ? 0 : 0.5 * (1 + Math.cos((Math.PI * distance) / reach)));

// Write into `pixels` what dragging a line by `dy` rows at `column` gives. `before` are the pixels at the start.
export const dragLine = (pixels, before, width, { line, column, dy, reach }) => {
  pixels.set(before);
  const height = pixels.length / width;
  const { first, last } = wall(before, width);
  const lines = linesOf({ first, last });
  const whole = reach === Infinity;
  // Only the stretch that was taken hold of: the wall beyond a gap is another one.
  for (const step of [-1, 1]) {
    for (let x = step < 0 ? column : column + 1; x >= 0 && x < width && first[x] >= 0; x += step) {
      const share = whole ? 1 : pull(Math.abs(x - column), reach);
      if (!share) {
        break;
      }
      let li = lines.li[x] + (line === "li" ? dy * share : 0);
      let ma = lines.ma[x] + (line === "ma" ? dy * share : 0);
      // One pixel stays: a line never crosses the other.
      li = line === "li" ? Math.min(li, ma - 1) : li;
      ma = line === "ma" ? Math.max(ma, li + 1) : ma;
      for (let y = first[x]; y <= last[x]; y += 1) {
        pixels[y * width + x] = 0;
      }
      fillColumn(pixels, width, height, x, li, ma);
    }
  }
};

const fillColumn = (pixels, width, height, x, li, ma) => {
  const from = Math.max(0, Math.ceil(li));
  const to = Math.min(height - 1, Math.ceil(ma) - 1);
  for (let y = from; y <= to; y += 1) {
    pixels[y * width + x] = LAYER;
  }
};

// A smooth line through points [[x, y], …] that never swings beyond them (Fritsch and Carlson 1980): its depth at a
// column, NaN outside.
export const through = (points) => {
  const sorted = [...points].sort((a, b) => a[0] - b[0]).filter((p, i, all) => !i || p[0] - all[i - 1][0] > 0.01);
  const n = sorted.length;
  const slope = sorted.slice(1).map((p, i) => (p[1] - sorted[i][1]) / (p[0] - sorted[i][0]));
  const tangent = sorted.map((_, i) => {
    if (i === 0 || i === n - 1) {
      return slope[Math.min(i, n - 2)] || 0;
    }
    const [a, b] = [slope[i - 1], slope[i]];
    return a * b <= 0 ? 0 : (2 * a * b) / (a + b);
  });
  return (x) => {
    if (n < 2 || x < sorted[0][0] || x > sorted[n - 1][0]) {
      return NaN;
    }
    let i = 0;
    while (i < n - 2 && x > sorted[i + 1][0]) {
      i += 1;
    }
    const h = sorted[i + 1][0] - sorted[i][0];
    const t = (x - sorted[i][0]) / h;
    return (
      (1 + 2 * t) * (1 - t) ** 2 * sorted[i][1] +
      t * (1 - t) ** 2 * h * tangent[i] +
      t ** 2 * (3 - 2 * t) * sorted[i + 1][1] +
      t ** 2 * (t - 1) * h * tangent[i + 1]
    );
  };
};

// Fill the wall between two drawn lines, in place of what was in their columns.
export const fillBetween = (pixels, width, points) => {
  const height = pixels.length / width;
  const [li, ma] = LINES.map((line) => through(points[line]));
  for (let x = 0; x < width; x += 1) {
    const [one, other] = [li(x), ma(x)];
    if (Number.isNaN(one) || Number.isNaN(other)) {
      continue;
    }
    for (let place = x; place < pixels.length; place += width) {
      pixels[place] = pixels[place] === LAYER ? 0 : pixels[place];
    }
    // Whichever was drawn first, the upper one is LI.
    const [upper, lower] = [Math.min(one, other), Math.max(one, other)];
    fillColumn(pixels, width, height, x, upper, Math.max(lower, upper + 1));
  }
};
