#include "bend.h"

// Which pixels of a line make up each pixel of a shorter one: taps of them, from first on.
struct shares {
	const int *first;
	const float *weights;
	int taps, pixels;
};

// shrink writes a picture of so many columns to to, smaller, each pixel the mean of what it covers. line is room for a row of the picture.
static void shrink(const float *from, int width, struct shares columns, struct shares rows, float *to, float *line) {
	for (int v = 0; v < rows.pixels; v++) {
		memset(line, 0, width * sizeof *line);
		for (int k = 0; k < rows.taps; k++) {
			const float weight = rows.weights[v * rows.taps + k], *row = from + (long)(rows.first[v] + k) * width;
			if (weight == 0)
				continue;
			int x = 0;
			for (; x + 4 <= width; x += 4) {
				four sum, more;
				memcpy(&sum, line + x, sizeof sum);
				memcpy(&more, row + x, sizeof more);
				sum += more * weight;
				memcpy(line + x, &sum, sizeof sum);
			}
			for (; x < width; x++) line[x] += row[x] * weight;
		}
		const float *weights = columns.weights;
		for (int u = 0; u < columns.pixels; u++, weights += columns.taps) {
			float sum = 0;
			for (int k = 0; k < columns.taps; k++) sum += line[columns.first[u] + k] * weights[k];
			*to++ = sum;
		}
	}
}
