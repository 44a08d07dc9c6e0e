// One grey image on a canvas: window and level, zoom, move. Nothing is loaded anew for these.

const BLACK_TO_WHITE = { window: 256, level: 128 };

export class Viewer {
  // `changed` is called with {window, level, zoom} whenever one of them changes.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.height = Number(canvas.dataset.height);
    this.width = Number(canvas.dataset.width);
    this.picture = new OffscreenCanvas(this.width, this.height);
    this.pixels = null;
    this.reset();
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  show(pixels) {
    this.pixels = pixels;
    this.draw();
  }

  clear() {
    this.show(null);
  }

  reset() {
    Object.assign(this, BLACK_TO_WHITE, { zoom: 1, x: 0, y: 0 });
    this.draw();
  }

  setWindow(window, level) {
    this.window = Math.min(512, Math.max(2, window));
    this.level = Math.min(255, Math.max(0, level));
    this.draw();
  }

  // Zoom so that the point (x, y), in pixels of the canvas from its centre, stays where it is.
  zoomBy(factor, x, y) {
    const zoom = Math.min(16, Math.max(0.5, this.zoom * factor));
    this.x = x - (x - this.x) * (zoom / this.zoom);
    this.y = y - (y - this.y) * (zoom / this.zoom);
    this.zoom = zoom;
    this.draw();
  }

  // Grey levels 0 to 255 to those on the screen: the linear function of DICOM PS3.3, C.11.2.1.2.
  shade(value) {
    return Math.round(255 * Math.min(1, Math.max(0, (value - this.level + 0.5) / (this.window - 1) + 0.5)));
  }

  draw() {
    const { canvas, picture } = this;
    const ratio = window.devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    this.changed(this);
    if (!this.pixels) return;
    const shades = Uint8ClampedArray.from({ length: 256 }, (_, value) => this.shade(value));
    const data = new ImageData(this.width, this.height);
    this.pixels.forEach((value, i) => data.data.set([shades[value], shades[value], shades[value], 255], 4 * i));
    picture.getContext("2d").putImageData(data, 0, 0);
    const context = canvas.getContext("2d");
    const scale = Math.min(canvas.width / this.width, canvas.height / this.height) * this.zoom;
    context.imageSmoothingQuality = "low"; // bilinear: "high" overshoots at edges, and shows what is not there
    context.translate(canvas.width / 2 + this.x * ratio, canvas.height / 2 + this.y * ratio);
    context.scale(scale, scale);
    context.drawImage(picture, -this.width / 2, -this.height / 2);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      if (event.buttons !== 1 || event.shiftKey) {
        this.x += event.movementX;
        this.y += event.movementY;
        this.draw();
      } else {
        this.setWindow(this.window + event.movementX, this.level + event.movementY);
      }
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      this.zoomBy(Math.exp(-Math.sign(event.deltaY) * 0.15), x, y);
    }, { passive: false });
  }
}
