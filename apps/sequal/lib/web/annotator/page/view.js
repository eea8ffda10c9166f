// The frame on the screen: picture, mask, lines, in the proportions of the tissue; zoomed by the wheel.
import { lit } from "./light.js";
import { paintMask, paintReview } from "./overlay.js";

const LINE = { li: "#4fd8ff", ma: "#ffd84f" };
const MOST_ZOOM = 40;

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = [1, 1]; // screen pixels per image pixel at zoom 1, in proportion to the size of a pixel
    this.zoom = 1;
    this.origin = [0, 0]; // of the image, in CSS pixels
    this.isFitted = true;
    this.light = 1; // over 1: brighter
    this.hidden = false;
    this.overlay = document.createElement("canvas");
    this.shade = document.createElement("canvas");
    this.things = {};
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  // Begin with another frame: its picture, and what pixels are long.
  show(info, picture) {
    const [dx, dy] = info.spacing_mm || [1, 1];
    const least = Math.min(dx, dy);
    this.scale = [dx / least, dy / least];
    this.info = info;
    this.turn(picture);
    [this.overlay, this.shade].forEach((canvas) => Object.assign(canvas, { width: info.width, height: info.height }));
    this.fit();
  }

  // Show another picture of the same frame or clip.
  turn(picture) {
    this.original = picture;
    this.brighten(this.light);
  }

  brighten(light) {
    this.light = light;
    this.picture = this.original && lit(this.original, light);
    this.draw();
  }

  clear() {
    this.turn(null);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.info) {
      const [w, h] = [this.info.width * this.scale[0], this.info.height * this.scale[1]];
      this.zoom = 0.98 * Math.min(width / w, height / h);
      this.origin = [(width - w * this.zoom) / 2, (height - h * this.zoom) / 2];
    }
    this.isFitted = true;
    this.draw();
  }

  // Keep the place under the pointer where it is.
  zoomAt([x, y], factor) {
    const before = this.zoom;
    const least = 0.2;
    this.zoom = Math.min(MOST_ZOOM, Math.max(least, this.zoom * factor));
    const ratio = this.zoom / before;
    this.origin = [x - (x - this.origin[0]) * ratio, y - (y - this.origin[1]) * ratio];
    this.isFitted = false;
    this.draw();
  }

  move(dx, dy) {
    this.origin = [this.origin[0] + dx, this.origin[1] + dy];
    this.isFitted = false;
    this.draw();
  }

  // By keyboard: about the middle of the screen, and by a part of it.
  zoomBy(factor) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.zoomAt([width / 2, height / 2], factor);
  }

  moveBy(columns, rows) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.move(columns * width, rows * height);
  }

  // [column, row] of a place on the canvas; the centre of the first pixel is [0, 0].
  toImage([x, y]) {
    return [
      (x - this.origin[0]) / (this.scale[0] * this.zoom) - 0.5,
      (y - this.origin[1]) / (this.scale[1] * this.zoom) - 0.5,
    ];
  }

  toScreen([column, row]) {
    return [
      this.origin[0] + (column + 0.5) * this.scale[0] * this.zoom,
      this.origin[1] + (row + 0.5) * this.scale[1] * this.zoom,
    ];
  }

  // What to draw over the picture: `pixels` of the frame, `others` in red, `lines`, drawn `points`, a `ring` for the brush,
  // and `review`, the area to look at, below the lines.
  set(things) {
    if (things.pixels) {
      paintMask(this.overlay, things.pixels, things.others || []);
    }
    if (things.review) {
      paintReview(this.shade, things.review);
    }
    Object.assign(this.things, things);
    this.draw();
  }

  draw() {
    if (!this.isDue) {
      this.isDue = true;
      requestAnimationFrame(() => {
        this.isDue = false;
        this.#drawNow();
      });
    }
  }

  #drawNow() {
    const { context, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    if (!this.picture) {
      return;
    }
    const [w, h] = [this.info.width * this.scale[0] * this.zoom, this.info.height * this.scale[1] * this.zoom];
    context.imageSmoothingEnabled = this.zoom < 4;
    context.drawImage(this.picture, ...this.origin, w, h);
    context.imageSmoothingEnabled = false;
    if (!this.hidden) {
      context.drawImage(this.overlay, ...this.origin, w, h);
    }
    if (this.things.review) {
      context.drawImage(this.shade, ...this.origin, w, h);
    }
    if (!this.hidden) {
      this.#drawLines();
    }
    this.#drawPoints();
    this.#drawRing();
  }

  #drawLines() {
    const { lines, isLinesShown } = this.things;
    if (!lines || !isLinesShown) {
      return;
    }
    Object.entries(lines).forEach(([name, depths]) => {
      this.context.strokeStyle = LINE[name];
      this.context.lineWidth = 1.5;
      this.context.beginPath();
      let isOpen = false;
      depths.forEach((depth, column) => {
        if (Number.isNaN(depth)) {
          isOpen = false;
          return;
        }
        const at = this.toScreen([column, depth]);
        this.context[isOpen ? "lineTo" : "moveTo"](...at);
        isOpen = true;
      });
      this.context.stroke();
    });
  }

  #drawPoints() {
    Object.entries(this.things.points || {}).forEach(([name, points]) => {
      this.context.fillStyle = this.context.strokeStyle = LINE[name];
      this.context.lineWidth = 1.5;
      this.context.beginPath();
      [...points]
        .sort((a, b) => a[0] - b[0])
        .forEach((point, i) => this.context[i ? "lineTo" : "moveTo"](...this.toScreen(point)));
      this.context.stroke();
      points.forEach((point) => {
        this.context.beginPath();
        this.context.arc(...this.toScreen(point), 4, 0, 2 * Math.PI);
        this.context.fill();
      });
    });
  }

  // Where the brush is, at its true size.
  #drawRing() {
    const { ring } = this.things;
    if (!ring) {
      return;
    }
    const [dx, dy] = ring.scale;
    this.context.strokeStyle = ring.colour || "#fff";
    this.context.lineWidth = 1;
    this.context.beginPath();
    this.context.ellipse(
      ...this.toScreen(ring.place),
      Math.max(1, (ring.radius / dx) * this.scale[0] * this.zoom),
      Math.max(1, (ring.radius / dy) * this.scale[1] * this.zoom),
      0,
      0,
      2 * Math.PI
    );
    this.context.stroke();
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    if (this.isFitted) {
      this.fit();
    } else {
      this.draw();
    }
  }
}
