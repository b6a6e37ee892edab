#include <string.h>

static inline void unfoldBy(int stretch, const float *picture, int width, int height, float *to) {
	const float *row = picture - width;
	for (int y = 0; y < height; y += 2, row += 2 * width) {
		const float *rows[3] = {row, row + width, row + 2 * width};
		for (int x = -1; x < width - 1; x += stretch - 1)
			for (int k = 0; k < 3; k++, to += stretch)
				if (x < 0 || rows[k] < picture)
					for (int i = 0; i < stretch; i++) to[i] = x + i < 0 || rows[k] < picture ? 0 : rows[k][x + i];
				else
					memcpy(to, rows[k] + x, stretch * sizeof *to);
	}
}

// unfold writes out what a convolution of 3 × 3, for every second place of every second row, multiplies for so many places of its
// output at a time: three stretches of 2 * together + 1 pixels. Above and to the left of the picture is 0.
static void unfold(const float *picture, int width, int height, int together, float *to) {
	if (together == 1) // compilers make no call of a copy whose size they know
		unfoldBy(3, picture, width, height, to);
	else if (together == 2)
		unfoldBy(5, picture, width, height, to);
	else
		unfoldBy(2 * together + 1, picture, width, height, to);
}
