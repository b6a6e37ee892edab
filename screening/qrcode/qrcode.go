// Package qrcode draws QR codes (ISO/IEC 18004) for pages.
package qrcode

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is how many modules around a code stay white, by the standard.
const quietZone = 4

// SVG is the code of a text as a drawing, black on white whatever the colours of the page. It has the class "qr", and the label
// for those who do not see it.
func SVG(text, label string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("the QR code of %q: %w", text, err)
	}
	modules := code.Bounds().Dx()
	var black strings.Builder
	for y := range modules {
		for x := range modules {
			if red, _, _, _ := code.At(x, y).RGBA(); red == 0 {
				fmt.Fprintf(&black, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	side := modules + 2*quietZone
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="%s" viewBox="%d %d %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M%[2]d %[2]dh%[4]dv%[4]dh-%[4]dz"/><path fill="#000" d="%[6]s"/></svg>`,
		template.HTMLEscapeString(label), -quietZone, -quietZone, side, side, black.String())), nil
}
