#include <string.h>

static inline void unfoldBy(const int stretch, const float *picture, int width, int height, float *to) {
	for (int y = -1; y < height - 1; y += 2)
		for (int x = -1; x < width - 1; x += stretch - 1)
			for (int row = y; row < y + 3; row++, to += stretch) {
				const float *from = picture + (row < 0 ? 0 : (long)row * width);
				if (row < 0)
					memset(to, 0, stretch * sizeof *to);
				else if (x < 0)
					*to = 0, memcpy(to + 1, from, (stretch - 1) * sizeof *to);
				else
					memcpy(to, from + x, stretch * sizeof *to);
			}
}

// unfold writes out what a convolution of 3 × 3, for every second place of every second row, multiplies for one or two places of
// its output at a time: three stretches of 3 or 5 pixels, of a size that compilers know. Above and to the left of the picture is 0.
static void unfold(const float *picture, int width, int height, int together, float *to) {
	if (together == 2)
		unfoldBy(5, picture, width, height, to);
	else
		unfoldBy(3, picture, width, height, to);
}
