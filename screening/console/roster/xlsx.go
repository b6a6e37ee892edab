package roster

import (
	"archive/zip"
	"bytes"

	"github.com/xuri/excelize/v2"
)

// Bounds of a sheet as it is when it is opened: one of MaxPeople lines has some 20 MB.
const (
	maxUnpacked = 96 << 20 // bytes
	maxParts    = 1000
)

// readXLSX reads the first sheet of a book.
func readXLSX(body []byte, line func(at int, cells []string) error) (err error) {
	packed, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return Broken
	}
	var unpacked uint64 // no part has more than it says: its reader ends there
	for _, part := range packed.File {
		unpacked += min(part.UncompressedSize64, maxUnpacked+1)
	}
	if unpacked > maxUnpacked || len(packed.File) > maxParts {
		return Exploding
	}
	defer func() {
		if recover() != nil { // of the library, over a file that was made to harm
			err = Broken
		}
	}()
	book, err := excelize.OpenReader(bytes.NewReader(body), excelize.Options{UnzipSizeLimit: maxUnpacked})
	if err != nil {
		return Broken
	}
	defer book.Close()
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return Empty
	}
	rows, err := book.Rows(sheets[0])
	if err != nil {
		return Broken
	}
	defer rows.Close()
	for at := 1; rows.Next(); at++ {
		if at > maxRows {
			return TooLong
		}
		cells, err := rows.Columns()
		if err != nil {
			return Broken
		}
		if err := line(at, cells); err != nil {
			return err
		}
	}
	if rows.Error() != nil {
		return Broken
	}
	return nil
}

// maxRows bounds the rows that are looked at, most of which may be empty.
const maxRows = 4 * MaxPeople
