package gate_test
import ("testing";"fmt";"time";"errors";"io";"os"
"thermogate/camera";"thermogate/camera/simulator";"thermogate/screening/event";"thermogate/screening/face";"thermogate/screening/gate";"thermogate/screening/measure";"thermogate/screening/policy";"thermogate/screening/track";"crypto/rand")
func TestZZ(t *testing.T){
 s,err:=simulator.Load("../../camera/simulator/scenarios/moving.yaml"); if err!=nil{t.Fatal(err)}
 m,err:=simulator.New(s,simulator.Options{Linger:5*time.Second}); if err!=nil{t.Fatal(err)}
 d,_:=face.New()
 g,err:=gate.New(gate.Config{Site:"a",Name:"b",Track:track.DefaultConfig(),Measure:measure.DefaultConfig(),Policy:policy.DefaultConfig(),Visit:gate.DefaultVisitConfig(),Moving:true},m.Info(),d,rand.Reader)
 if err!=nil{t.Fatal(err)}
 var f camera.Frame
 var pan,panMoving,still,stillMoving int
 var since time.Duration; last:=false
 for {
  err:=m.Read(t.Context(),&f); if errors.Is(err,io.EOF){break}
  tr:=m.Truth()
  sc,ev,err:=g.Process(&f); if err!=nil{t.Fatal(err)}
  mv:=sc.Reference.Problem==event.CarrierMoving
  if tr.Panning!=last{since=tr.Time;last=tr.Panning}
  if tr.Panning { pan++; if mv {panMoving++} } else if tr.Time-since>time.Second { still++; if mv{stillMoving++; if os.Getenv("V")!=""{fmt.Println("still but moving",tr.Time,len(tr.People))}} }
  for _,e:=range ev { sk:=0.0; if e.Data.SkinCelsius!=nil{sk=*e.Data.SkinCelsius}; tt:="-"; for _,p:=range tr.People{tt+=fmt.Sprintf(" #%d %.2f",p.ID,p.SkinCelsius)}
   fmt.Println(tr.Time.Round(10*time.Millisecond),tr.Panning,e.Data.Outcome,e.Data.Reason,sk,"revises",e.Data.Revises!="",e.Data.RescreenOf!="",tt) }
  if os.Getenv("V")!="" && tr.Panning && !mv {fmt.Println("pan not seen",tr.Time,tr.Time-since)}
 }
 fmt.Println("pan",pan,"seen",panMoving,"still",still,"false",stillMoving)
}
