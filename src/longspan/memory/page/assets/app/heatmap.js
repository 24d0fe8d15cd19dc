// Pictures of many rows over time, inside a chart, so that they share its axes and its cursor.

/** Paint `rows` by `columns` values, each -1 to 1, into an offscreen canvas, one pixel each. */
function paint(rows, columns, valueAt) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const ctx = canvas.getContext("2d");
  const image = ctx.createImageData(columns, rows);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 4) {
      const value = valueAt(row, column);
      const [r, g, b] = Number.isNaN(value) ? palette["heat-paper"] : heat(value);
      image.data[at] = r;
      image.data[at + 1] = g;
      image.data[at + 2] = b;
      image.data[at + 3] = 255;
    }
  }
  ctx.putImageData(image, 0, 0);
  return canvas;
}

/** Lay a picture over the plot from x0 to x1 and y0 to y1 of the scales, cut off at the edge of the plot. */
function lay(u, canvas, x0, x1, y0, y1) {
  const { ctx, bbox } = u;
  const [left, right] = [u.valToPos(x0, "x", true), u.valToPos(x1, "x", true)];
  const [top, bottom] = [u.valToPos(y1, "y", true), u.valToPos(y0, "y", true)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.imageSmoothingEnabled = canvas.width > 2 * bbox.width;
  ctx.drawImage(canvas, left, top, right - left, bottom - top);
  ctx.restore();
}

/** A canvas behind the lines of a chart, for what changes with every move of the cursor. */
function layerUnder(chart) {
  const canvas = make("canvas", { "aria-hidden": "true", style: { position: "absolute", inset: "0", width: "100%", height: "100%" } });
  chart.u.under.append(canvas);
  return (draw) => {
    const { clientWidth: width, clientHeight: height } = chart.u.under;
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const ctx = canvas.getContext("2d");
    ctx.scale(devicePixelRatio, devicePixelRatio);
    draw(ctx, width, height);
  };
}

/** The colours of a scale, from `low` to 1. */
function scaleStrip(low) {
  const canvas = make("canvas", { "aria-hidden": "true", width: "96", height: "1" });
  withTheme(() => {
    const ctx = canvas.getContext("2d");
    for (let x = 0; x < 96; x++) {
      ctx.fillStyle = `rgb(${heat(low + ((1 - low) * x) / 95).map(Math.round).join(",")})`;
      ctx.fillRect(x, 0, 1, 1);
    }
  });
  return canvas;
}
